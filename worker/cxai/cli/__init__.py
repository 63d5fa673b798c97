"""The command: argv, signals, streams."""
