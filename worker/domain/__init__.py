"""The pure core: values, rules and arithmetic. No IO, no clock, no randomness of its own."""
