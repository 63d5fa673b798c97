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

from cxai.core.entry import Entry, IdRule, Outcome
from cxai.policy.verdict import Verdict
from cxai.resources.cx_ai.layout import RECORDS
from cxai.sources.file import FileSource

_BATCH = 32  # as in a run


async def keep_books(ids: str, directory: str) -> None:
    """Settle all IDs."""
    seconds = []
    with opened(Path(directory)) as ledger:
        async for block in FileSource([ids], IdRule()).batches():
            fresh = ledger.admit([one for one in block if isinstance(one, Entry)]).fresh
            outcomes = [Outcome(one, Verdict.OK, 1, {RECORDS: b"{}\n"}) for one in fresh]
            for start in range(0, len(outcomes), _BATCH):
                ledger.commit(outcomes[start : start + _BATCH])
            seconds.append(time.process_time())
        ledger.end_run("finished", {})
    print(json.dumps(seconds))


if __name__ == "__main__":
    asyncio.run(keep_books(*sys.argv[1:]))
