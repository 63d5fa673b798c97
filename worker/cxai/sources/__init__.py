"""Where the IDs come from: adapters of the port `Source`."""
