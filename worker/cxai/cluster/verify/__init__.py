"""`cxai verify` of a shared export. It shares only names with the code that writes the objects."""

from cxai.cluster.verify.export import verify_cluster

__all__ = ["verify_cluster"]
