"""The composition roots: each opens what its work needs, wires it, and closes it in reverse order.

`local.py` runs on one machine, `worker.py` is one of many that share an export, and
`cluster_commands.py` is what else is done with such an export. What they share lies beside them.
"""

from cxai.app.input import source_of
from cxai.app.local import export, lasting_path, part_every_s

__all__ = ["export", "lasting_path", "part_every_s", "source_of"]
