"""Commands and reports on an export: status, report, verify, prune."""
