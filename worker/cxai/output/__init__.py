"""Writing results: lines, parts, and the settings that shape them."""
