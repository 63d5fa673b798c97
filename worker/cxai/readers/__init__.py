"""Readers on other cores: processes that decode and validate replies and format their rows.

A reader has no file, no connection but that to its worker, and no state that matters: it can be
killed at any moment, and the worker then reads its replies itself. `__main__.py` and
`block_parser.py` run in the reader, the other files in the worker.
"""
