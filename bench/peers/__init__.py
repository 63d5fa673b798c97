"""What users would pick instead of the worker, each as somebody would write it in an afternoon.

Each is a command `PEER IDS BASE_URL OUT`: it gets the result of every ID in the file IDS with 64
requests at a time (32 threads, where it has threads), decodes and parses it, and writes it to OUT
as one line of JSON, with the same keys as the worker's. The token is in CXAI_API_TOKEN. None keeps
account of what it has done, tries again, or makes anything durable.
"""
