"""Readers on other cores: processes that decode and validate replies and format their rows.

A worker sends blocks of replies to its readers over socket pairs, and they return the lines. A
reader has no file, no other connection and no state that matters: it can be killed at any moment,
and the worker then reads its replies itself. So nothing here can lose or duplicate an ID; it only
saves time.

`__main__.py` and `block_parser.py` run in the reader; `pool.py`, `child_process.py`, `link.py` and
`sizing.py` in the worker; `wire.py` is the protocol between them.
"""
