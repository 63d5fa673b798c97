"""The worker beside what users would pick instead: `python -m bench` writes docs/benchmarks.md."""
