"""What can be said of an export from its files: status, report, verify, prune."""
