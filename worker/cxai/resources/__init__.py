"""What is asked of the API, and how its bodies become rows: one package a resource."""
