"""What a reply means for an ID, and what happens next. Pure."""
