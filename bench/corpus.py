"""What is asked for, what is sent for it, and whether that was written.

`python -m bench.corpus IDS OUT` checks that the file OUT, or the files of the worker in that
directory, have the right record of each ID: in a process of its own, as the measuring process has
to stay small. Linux counts its memory as the least peak of each command that it starts.
"""

import fileinput
import json
import sys
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

from bench.peers.record import record

_SEED = 2026
_SHORT = (1, 2)  # the variants of about 5 kB, of each sixteen


def ids(count: int) -> Iterator[str]:
    """Yield `count` GUIDs, always the same."""
    draw = Random(_SEED)
    for _ in range(count):
        yield str(uuid.UUID(int=draw.getrandbits(128), version=4))


def body(last_digits: str, *, short: bool = False) -> bytes:
    """Return the result that is sent for all IDs with these two last digits."""
    from cxai.simulator.bodies import VARIANTS, result_json  # noqa: PLC0415 - not to be measured

    number = int(last_digits, 16)
    return result_json(_SEED, _SHORT[number % 2] if short else number % VARIANTS)


def complaint(files: Iterable[Path], asked: Counter[str]) -> str | None:
    """Return what is wrong with the files: one line for each ID is expected, in any order.

    Raises ValueError or KeyError if a line is not a record.
    """
    written = Counter[str]()
    with fileinput.FileInput(files, mode="rb") as lines:
        for found in map(json.loads, lines):
            one = found["interaction_id"]
            if not record(one, json.loads(body(one[-2:]))).items() <= found.items():
                return f"wrote a wrong record of {one}"
            written[one] += 1
    if written == asked:
        return None
    return f"wrote {written.total():,} lines, not one for each of {asked.total():,} IDs"


if __name__ == "__main__":
    asked, out = map(Path, sys.argv[1:])
    files = [*out.glob("records-*.jsonl")] if out.is_dir() else [out]
    sys.exit(complaint(files, Counter(asked.read_text(encoding="utf-8").split())))
