"""Stores of immutable objects: a shared volume, or the object store of a cloud."""
