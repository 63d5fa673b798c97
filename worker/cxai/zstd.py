"""zstd of the standard library; before Python 3.14, its backport with the same interface."""

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["zstd"]
