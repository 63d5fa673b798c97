"""`cxai verify` of a shared export: every object against the log, every row against its ID.

It reads the objects as any other program would, and shares only their names with the code that
writes them.
"""

from cxai.cluster.verify.export import verify_cluster

__all__ = ["verify_cluster"]
