"""What the commands show: progress, plans, checks, schemas and reports."""
