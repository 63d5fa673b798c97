"""What a reply means for an ID, and what is done next. Pure."""
