"""`python -m bench.bookkeeping IDS DIR`: all that an ID costs apart from its request and its body.

Reads the file of IDs, looks each up, and commits a short record for it, as a run does. Prints, as
JSON, the CPU seconds so far after each block, all of the same size but the last.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from support.store import opened

from cxai.core.entry import Entry, IdRule
from cxai.core.outcome import Outcome
from cxai.policy.verdict import Verdict
from cxai.resources.cx_ai.layout import RECORDS
from cxai.sources.file import FileSource

_BATCH = 32


async def keep_books(ids: str, directory: Path) -> list[float]:
    """Settle all IDs; return the CPU seconds after each block."""
    seconds = []
    with opened(directory) as ledger:
        async for block in FileSource([ids], IdRule()).batches():
            fresh = ledger.admit([one for one in block if isinstance(one, Entry)]).fresh
            for start in range(0, len(fresh), _BATCH):
                ledger.commit([_outcome(one) for one in fresh[start : start + _BATCH]])
            seconds.append(time.process_time())
        ledger.end_run("finished", {})
    return seconds


def _outcome(entry: Entry) -> Outcome:
    line = b'{"interaction_id":"%s"}\n' % entry.id.encode()
    return Outcome(entry, Verdict.OK, 1, {RECORDS: line})


if __name__ == "__main__":
    print(json.dumps(asyncio.run(keep_books(sys.argv[1], Path(sys.argv[2])))))
