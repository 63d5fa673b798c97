"""Finds files in the directory of an export that a loader might mistake for parts of it."""

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
    """Report files that are not parts: as problems if they look like parts, else as notes.

    `sets` are those whose parts a loader may look for. The owner of a released part may compress or
    unpack it, and leave it there.
    """
    released = [name for name, part in known.items() if part.is_released]
    copies = {name + suffix for name in released for suffix in SUFFIX.values()}
    lookalike = lookalike_pattern(sets)
    for name in sorted(os.listdir(findings.directory)):  # noqa: PTH208 - names
        if name in known or name in copies:
            continue
        shown = printable(Path(name))
        if lookalike.fullmatch(name):
            problem = f"{shown}: not a part in the ledger, but a loader would read it."
            findings.add(problem, Advice.MOVE)
        elif _JSON_LINES.fullmatch(name):
            findings.notes.append(f"{shown} is not part of the export; a loader should skip it.")
