"""Whether the API is up, and how fast requests may leave."""
