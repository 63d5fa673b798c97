"""Where IDs come from: adapters of the port `Source`."""
