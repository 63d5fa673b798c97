"""Whether a client has done its work: a line for each ID, and the right one."""

import json
import re
from collections import Counter
from pathlib import Path

from bench import corpus
from bench.measurement import FailedRunError
from bench.peers.record import record

_COMPARED = 5
"""Lines that are compared as a whole, spread over the output."""

_FIRST_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Every client writes the ID before the rest of its record."""


def check(files: list[Path], ids: Path, bodies: Path) -> None:
    """Raise FailedRunError unless the files have a line for each ID, and some are as expected."""
    asked = ids.read_text(encoding="utf-8").split()
    every = max(1, len(asked) // _COMPARED)
    written = Counter[str]()
    count = 0
    for file in files:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                first_id = _FIRST_ID.search(line)
                if first_id is None:
                    raise FailedRunError("wrote a line without an ID")
                if count % every == 0:
                    _compare(line, first_id[0], bodies)
                written[first_id[0]] += 1
                count += 1
    if written != Counter(asked):
        raise FailedRunError(f"wrote {count:,} lines, not one for each of {len(asked):,} IDs")


def _compare(line: str, interaction_id: str, bodies: Path) -> None:
    expected = record(interaction_id, corpus.body(bodies, interaction_id))
    try:
        written = json.loads(line)
    except ValueError as error:
        raise FailedRunError(f"wrote a line that is no JSON: {error}") from None
    if any(written.get(key) != value for key, value in expected.items()):
        raise FailedRunError(f"wrote a wrong record of {interaction_id}")
