"""Retrieves ElevateAI CX AI results in bulk, exactly once, as JSON Lines."""

__version__ = "0.1.0"
