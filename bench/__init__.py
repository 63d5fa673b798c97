"""The worker beside what its users would pick instead, on the same bodies, in one run.

`python -m bench` writes docs/benchmarks.md, which says what is measured and how. The clients are a
table (bench/clients.py); a section (bench/sections.py) is a function that measures some of them.
"""
