"""Ledgers: which ID has which verdict, and what is committed."""
