"""Names the files in the directory of an export that a loader might take for parts of it."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from cxai.core.text import printable
from cxai.inspect.verify.findings import Advice, Findings
from cxai.inspect.verify.parts import SUFFIX, Part
from cxai.resources.cx_ai.records import PART_SETS

_SETS = "|".join(sorted({name for sets in PART_SETS.values() for name in sets}))

_LIKE_A_PART = re.compile(rf"({_SETS}).*\.jsonl.*", re.IGNORECASE | re.DOTALL)
"""What a pattern such as `records-*.jsonl*` matches, whatever wrote it."""

_JSON_LINES = re.compile(r"[^.].*\.jsonl.*|[^.].*\.ndjson.*", re.IGNORECASE | re.DOTALL)


def check_names(findings: Findings, known: Mapping[str, Part]) -> None:
    """Name what is no part of the export: as a problem where it looks like one, else as a note.

    A released part may be compressed or unpacked by its new owner, and stay where it is.
    """
    released = [name for name, part in known.items() if part.released]
    copies = {name + suffix for name in released for suffix in SUFFIX.values()}
    for name in sorted(os.listdir(findings.directory)):  # noqa: PTH208 - names
        if name in known or name in copies:
            continue
        shown = printable(Path(name))
        if _LIKE_A_PART.fullmatch(name):
            problem = f"{shown}: the ledger knows no such part, but a loader would read it."
            findings.add(problem, Advice.MOVE)
        elif _JSON_LINES.fullmatch(name):
            findings.notes.append(f"{shown} is no part of the export; a loader should skip it.")
