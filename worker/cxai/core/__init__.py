"""The life of an ID, from the input to its verdict, and the ports that it needs."""
