"""Names of objects: a unique one until they are committed, a numbered one from then on.

`_pending/17-3-records.jsonl.zst` is of the third commit of worker 17;
`records/records-000000123.jsonl.zst` is object 123 of the log. Names sort in order of numbers.
"""

import re
from collections.abc import Iterable

from cxai.objects.port import PENDING
from cxai.output.compression import SUFFIX, Compression

MANIFEST = "manifest.json"

_DIGITS = 9  # as many as 10⁹ objects need: of a thousand records each, 10¹² records
_PENDING_NAME = re.compile(rf"{PENDING}/(\d+)-\d+-[a-z_]+\.jsonl(\.gz|\.zst)?")


def pending_name(worker: int, sequence: int, part_set: str, compression: Compression) -> str:
    """Return the unique name of an object before it is published."""
    return f"{PENDING}/{worker}-{sequence}-{part_set}.jsonl{SUFFIX[compression]}"


def worker_of(pending: str) -> int | None:
    """Return the worker that wrote a pending object, None for any other name."""
    return int(match[1]) if (match := _PENDING_NAME.fullmatch(pending)) else None


def final_name(number: int, part_set: str, compression: Compression) -> str:
    """Return the name of an object from its publishing on."""
    return f"{part_set}/{part_set}-{number:0{_DIGITS}d}.jsonl{SUFFIX[compression]}"


class FinalNames:
    """Recognizes the names of published objects of these sets, with any compression."""

    def __init__(self, sets: Iterable[str]) -> None:
        any_set = "|".join(map(re.escape, sorted(sets)))
        self._pattern = re.compile(rf"({any_set})/\1-(\d{{{_DIGITS},}})\.jsonl(\.gz|\.zst)?")

    def number(self, name: str) -> int | None:
        """Return the number of the object with that name, None if it is no such name."""
        return int(match[2]) if (match := self._pattern.fullmatch(name)) else None
