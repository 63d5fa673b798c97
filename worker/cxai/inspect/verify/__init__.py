"""`cxai verify`: every byte of an export held against its ledger.

It reads the files as any other program would, and shares no code with what writes them but their
names.
"""

from cxai.inspect.verify.export import verify_export
from cxai.inspect.verify.findings import Findings

__all__ = ["Findings", "verify_export"]
