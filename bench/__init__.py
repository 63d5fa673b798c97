"""The worker beside what its users would pick instead, on the same bodies, in one run.

`python -m bench` runs all sections and writes docs/benchmarks.md; `python -m bench SECTION` runs
one and prints it. What each does is said in docs/benchmarks.md, by `bench/sections/`.
"""
