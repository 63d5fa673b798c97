"""What a run shows of itself while it goes: log, progress, redaction."""
