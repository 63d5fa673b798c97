"""The composition roots: each opens what its work needs, wires it, and closes it in reverse order.

`local.py` is a run on one machine, `worker_run.py` a worker of a shared export.
"""

from cxai.app.input import source_of
from cxai.app.local import export, lasting_path, part_every_s

__all__ = ["export", "lasting_path", "part_every_s", "source_of"]
