"""Limiters: the pace of requests."""
