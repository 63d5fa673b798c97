"""Whether a client has done its work: a line for each ID, and the right one."""

import json
from pathlib import Path

from bench import corpus
from bench.measurement import FailedRunError
from bench.peers.record import record

_COMPARED = 5
"""Lines that are compared as a whole, spread over the output."""


def check(files: list[Path], ids: Path, bodies: Path) -> None:
    """Raise FailedRunError unless the files have a line for each ID, as far as is compared."""
    wanted = set(ids.read_text(encoding="utf-8").split())
    every = max(1, len(wanted) // _COMPARED)
    lines = 0
    for file in files:
        with file.open(encoding="utf-8") as text:
            for line in text:
                if lines % every == 0:
                    _compare(json.loads(line), wanted, bodies)
                lines += 1
    if lines != len(wanted):
        raise FailedRunError(f"wrote {lines:,} lines for {len(wanted):,} IDs")


def _compare(written: dict[str, object], wanted: set[str], bodies: Path) -> None:
    interaction_id = str(written["interaction_id"])
    if interaction_id not in wanted:
        raise FailedRunError(f"wrote a record of {interaction_id}, which was not asked for")
    expected = record(interaction_id, corpus.body(bodies, interaction_id))
    if any(written.get(key) != value for key, value in expected.items()):
        raise FailedRunError(f"wrote a wrong record of {interaction_id}")
