"""Finds objects that are not in the log, but might be loaded with the export."""

import re
from collections.abc import Collection

from cxai.cluster.books import Books
from cxai.cluster.names import FinalNames
from cxai.core.figures import counted, verb
from cxai.core.text import printable
from cxai.inspect.verify.findings import Advice, Findings
from cxai.objects.port import PENDING, ObjectStore

_LOADABLE = re.compile(r".*\.(jsonl|ndjson).*", re.IGNORECASE | re.DOTALL)
_MOST_NOTES = 10


async def check_names(
    books: Books,
    store: ObjectStore,
    findings: Findings,
    known: Collection[str],
    sets: Collection[str],
    last: int,
) -> None:
    """Find what is among the objects of `sets` and not `known`, the log up to number `last`."""
    numbered = FinalNames(sets)
    others = 0
    for part_set in sorted(sets):
        async for listed in store.names(part_set):
            if listed.name in known:
                continue
            number = numbered.number(listed.name) or 0
            if number > last and number <= await books.last_object():
                continue  # it was committed after the log was read
            shown = printable(listed.name)
            if _LOADABLE.fullmatch(listed.name):
                problem = f"{shown}: is not in the ledger, but a loader would read it."
                findings.add(problem, Advice.MOVE_OBJECTS)
            else:
                others += 1
                if others <= _MOST_NOTES:
                    findings.notes.append(f"{shown} is not part of the export.")
    if others > _MOST_NOTES:
        more = others - _MOST_NOTES
        findings.notes.append(
            f"{counted(more, 'more objects')} {verb(more, 'are')} not part of it."
        )
    if pending := len([listed async for listed in store.names(PENDING)]):
        findings.notes.append(
            f"{counted(pending, 'objects')} in {PENDING}/ {verb(pending, 'are')} not to be loaded:"
            " a worker is writing them, or was killed while it did."
        )
