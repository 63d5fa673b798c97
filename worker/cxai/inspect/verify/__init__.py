"""`cxai verify`: checks every byte of an export against its ledger.

It reads the files as any other program would, and shares only their names with what writes them.
"""

from cxai.inspect.verify.export import verify_export
from cxai.inspect.verify.findings import Findings

__all__ = ["Findings", "verify_export"]
