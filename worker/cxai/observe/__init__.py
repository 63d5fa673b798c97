"""What is seen of a run: its log, its progress, and secrets taken out of both."""
