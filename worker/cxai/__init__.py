"""Retrieves ElevateAI CX AI results in bulk, exactly once, as JSON Lines."""

__version__ = "0.2.0"
