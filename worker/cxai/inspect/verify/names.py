"""Names the files in the directory of an export that a loader might take for parts of it."""

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from cxai.core.text import printable
from cxai.inspect.verify.findings import Advice, Findings
from cxai.output.compression import SUFFIX
from cxai.output.part_state import PartState, lookalike_pattern

_JSON_LINES = re.compile(r"[^.].*\.jsonl.*|[^.].*\.ndjson.*", re.IGNORECASE | re.DOTALL)


def check_names(findings: Findings, known: Mapping[str, PartState], sets: Collection[str]) -> None:
    """Name what is no part of the export: as a problem where it looks like one, else as a note.

    `sets` are those whose parts a loader may look for. A released part may be compressed or
    unpacked by its new owner, and stay where it is.
    """
    released = [name for name, part in known.items() if part.is_released]
    copies = {name + suffix for name in released for suffix in SUFFIX.values()}
    lookalike = lookalike_pattern(sets)
    for name in sorted(os.listdir(findings.directory)):  # noqa: PTH208 - names
        if name in known or name in copies:
            continue
        shown = printable(Path(name))
        if lookalike.fullmatch(name):
            problem = f"{shown}: the ledger knows no such part, but a loader would read it."
            findings.add(problem, Advice.MOVE)
        elif _JSON_LINES.fullmatch(name):
            findings.notes.append(f"{shown} is no part of the export; a loader should skip it.")
