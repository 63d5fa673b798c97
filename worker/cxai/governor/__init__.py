"""Whether the API answers, and how fast requests may leave."""
