"""Readers on other cores: processes that decode, validate and lay out replies for a worker.

A worker sends blocks of replies to its readers over socket pairs, and they send back the lines. A
reader has no file, no other connection and no state that matters: it can be killed at any moment,
and the worker reads its replies itself. So nothing here can lose or double an ID; it only saves
time.

`__main__.py` and `process.py` are the reader; `pool.py` and `link.py` are the worker's side of it;
`wire.py` is what goes between them.
"""
