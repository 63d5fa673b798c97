"""`python -m bench.bookkeeping IDS DIR`: all that an ID costs apart from its request and its body.

Reads the file of IDs, looks each up, and commits a short record for it, as a run does. Prints, as
JSON, the microseconds of CPU per ID in the first and the last tenth of the IDs.
"""

import asyncio
import json
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

from cxai.clock import SystemClock
from cxai.core.entry import Entry, IdRule
from cxai.core.outcome import Outcome
from cxai.ledger.committer import Committer
from cxai.ledger.form import ExportForm
from cxai.observe.logging import LOG
from cxai.output.compression import Compression
from cxai.output.directory import OutputDirectory
from cxai.policy.verdict import Verdict
from cxai.resources.cx_ai.layout import LAYOUT, RECORDS
from cxai.resources.options import Shape
from cxai.sources.file import FileSource

_BATCH = 32
_PART_BYTES = 256 << 20
_RUN_ID = str(uuid.uuid4())


async def keep_books(ids: Path, directory: Path) -> list[tuple[int, float]]:
    """Settle all IDs; return, block by block, how many are done and the CPU seconds so far."""
    marks = [(0, time.process_time())]
    form = ExportForm(LAYOUT, Shape.NESTED, Compression.NONE)
    with (
        OutputDirectory(directory) as output,
        Committer(
            output, form, SystemClock(), part_bytes=_PART_BYTES, run_id=_RUN_ID, notice=LOG.warning
        ) as store,
    ):
        async with aclosing(FileSource([str(ids)], IdRule()).batches()) as blocks:
            async for block in blocks:
                entries = [item for item in block if isinstance(item, Entry)]
                for batch in _batches(store.admit(entries).fresh):
                    store.commit([_outcome(entry) for entry in batch])
                marks.append((marks[-1][0] + len(entries), time.process_time()))
        store.end_run("finished", {})
    return marks


def tenths(marks: list[tuple[int, float]]) -> tuple[float, float]:
    """Return the microseconds per ID in the first and in the last tenth."""
    total = marks[-1][0]
    first = next(mark for mark in marks if mark[0] >= total / 10)
    last = next(mark for mark in reversed(marks) if mark[0] <= total * 9 / 10)
    return _per_id(marks[0], first), _per_id(last, marks[-1])


def _per_id(one: tuple[int, float], other: tuple[int, float]) -> float:
    return (other[1] - one[1]) / max(1, other[0] - one[0]) * 1e6


def _batches(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    for start in range(0, len(entries), _BATCH):
        yield entries[start : start + _BATCH]


def _outcome(entry: Entry) -> Outcome:
    line = b'{"interaction_id":"%s"}\n' % entry.id.encode()
    return Outcome(entry, Verdict.OK, 1, {RECORDS: line})


if __name__ == "__main__":
    first_us, last_us = tenths(asyncio.run(keep_books(Path(sys.argv[1]), Path(sys.argv[2]))))
    print(json.dumps({"first_us": first_us, "last_us": last_us}))
