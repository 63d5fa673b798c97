"""The usual names of the field or column that contains the ID."""

DEFAULT_NAMES = ("interaction_id", "interactionIdentifier")
"""Our own name, and the API's."""
