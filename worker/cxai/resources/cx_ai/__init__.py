"""The CX AI result of an interaction."""
