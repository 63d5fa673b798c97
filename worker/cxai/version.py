"""The version of the package, in a file of its own: nothing else is imported with it."""

__version__ = "0.6.0"
