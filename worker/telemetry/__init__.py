"""What a run tells of itself: log lines, and nothing that is secret."""
