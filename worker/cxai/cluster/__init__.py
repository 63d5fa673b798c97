"""Many workers on one export: PostgreSQL holds queue, ledger, limits and the log of commits."""
