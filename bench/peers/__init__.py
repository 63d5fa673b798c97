"""What users would pick instead of the worker, each as an engineer would write it in an afternoon.

Each is a command `PEER IDS BASE_URL OUT`: it gets the results of all IDs in a file, $IN_FLIGHT at a
time with the token $CXAI_API_TOKEN, decodes and parses them, and writes each as a line of JSON with
the keys of the worker's records. None keeps a ledger, validates, retries, or syncs to the disk.
"""
