"""`python -m bench.bookkeeping IDS DIR`: all that an ID costs apart from its request and its body.

Reads the file of IDs, looks each up, and commits a short record for it, as a run does. Prints, as
JSON, after each block how many IDs are done and the CPU seconds so far.
"""

import asyncio
import json
import sys
import time
import uuid
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


async def keep_books(ids: Path, directory: Path) -> list[tuple[int, float]]:
    """Settle all IDs; return, block by block, how many are done and the CPU seconds so far."""
    marks = [(0, time.process_time())]
    form = ExportForm(LAYOUT, Shape.NESTED, Compression.NONE)
    run = {"part_bytes": 256 << 20, "run_id": str(uuid.uuid4()), "notice": LOG.warning}
    with (
        OutputDirectory(directory) as output,
        Committer(output, form, SystemClock(), **run) as ledger,
    ):
        async with aclosing(FileSource([str(ids)], IdRule()).batches()) as blocks:
            async for block in blocks:
                fresh = ledger.admit([one for one in block if isinstance(one, Entry)]).fresh
                for start in range(0, len(fresh), _BATCH):
                    ledger.commit(list(map(_outcome, fresh[start : start + _BATCH])))
                marks.append((marks[-1][0] + len(fresh), time.process_time()))
        ledger.end_run("finished", {})
    return marks


def _outcome(entry: Entry) -> Outcome:
    line = b'{"interaction_id":"%s"}\n' % entry.id.encode()
    return Outcome(entry, Verdict.OK, 1, {RECORDS: line})


if __name__ == "__main__":
    print(json.dumps(asyncio.run(keep_books(Path(sys.argv[1]), Path(sys.argv[2])))))
