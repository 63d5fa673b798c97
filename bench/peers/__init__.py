"""What users would pick instead of the worker, each as an engineer would write it in an afternoon.

Each is a command `PEER IDS BASE_URL OUT`: it gets the result of every ID in the file IDS, with
$IN_FLIGHT requests at a time and the token $CXAI_API_TOKEN, decodes and parses it, and writes it to
OUT as one line of JSON with the keys of the worker's records. None keeps a ledger, validates,
retries, or makes anything durable.
"""
