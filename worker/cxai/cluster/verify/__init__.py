"""`cxai verify` of a cluster's export: every object against the log, every row against its ID.

It reads the objects as any other program would, and shares no code with what writes them but their
names.
"""

from cxai.cluster.verify.export import verify_cluster

__all__ = ["verify_cluster"]
