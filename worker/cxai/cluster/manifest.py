"""manifest.json of a cluster's export: what there is to load.

It has the shape of the one that a run on one machine writes (cxai/output/manifest.py), so one
loader reads both. There is one part for each published object, and `last_run` has the accounts of
the whole export instead of those of one run.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from cxai.cluster.books import Books
from cxai.cluster.log import logged_objects
from cxai.cluster.names import MANIFEST, final_name
from cxai.cluster.rows import ObjectRow
from cxai.core.timestamp import timestamp
from cxai.objects.port import ObjectStore
from cxai.output.compression import Compression
from cxai.version import __version__

_NOT_SHOWN = ("bands", "destination")  # the text of the score ranges, and where it lies itself


@dataclass(frozen=True, slots=True)
class _State:
    """How far an export is: if that has not changed, no manifest has either."""

    last_object: int
    is_settled: bool


class Manifest:
    """Writes the manifest of one export.

    `form` says what the rows are, as the engine keeps it; `sets` are those that it can have.
    """

    def __init__(
        self,
        books: Books,
        store: ObjectStore,
        form: Mapping[str, Any],
        sets: Sequence[str],
        compression: Compression,
    ) -> None:
        self._books = books
        self._store = store
        self._form = {name: form[name] for name in form if name not in _NOT_SHOWN}
        self._sets = sets
        self._compression = compression
        self._written: _State | None = None

    async def write(self) -> None:
        """Write what the log has now; of a settled export, the one that is written last is right.

        Workers may write at the same time, and the slowest replaces what the others wrote. So each
        looks, after it has written, whether it was that late. Raises StoreError and
        EngineDownError.
        """
        while True:
            before = await self._state()
            await self._store.replace(MANIFEST, await self._content())
            self._written = await self._state()
            if self._written == before or not self._written.is_settled:
                return  # if it is not settled, whoever settles it writes after this

    async def refresh(self) -> bool:
        """Write it if nothing is left to do for now, and it was not written since; return whether.

        For workers that run without end: an export that is fed on has a manifest, too. Raises
        StoreError and EngineDownError.
        """
        queue = await self._books.queue()
        if queue.has_blocks or queue.has_unpublished or await self._state() == self._written:
            return False
        await self.write()
        return True

    async def _state(self) -> _State:
        number, queue = await self._books.last_object(), await self._books.queue()
        return _State(number, queue.is_settled)

    async def _content(self) -> bytes:
        counts = await self._books.counts()
        verdicts = {verdict.value: n for verdict, n in counts.verdicts.items()}
        head = {
            "written_by": f"cxai-worker {__version__}",
            "export": self._form,
            "sets": list(self._sets),
            "released_parts": [],
            "verdicts": dict(sorted(verdicts.items())),
            "last_run": {
                "settled": counts.finished and not counts.unpublished,
                "lines": counts.lines,
                "duplicates": counts.duplicates,
                "ids": counts.ids,
                "open": counts.open,
                "last_object": counts.last_object,
            },
        }
        # Entry by entry: as values, those of 100,000 objects would take 20 times the room.
        content = bytearray(orjson.dumps(head, option=orjson.OPT_INDENT_2).removesuffix(b"\n}"))
        content += b',\n  "parts": ['
        separator = b"\n    "
        async for entry in self._entries(counts.last_object):
            content += separator + orjson.dumps(entry)
            separator = b",\n    "
        content += b"\n  ]\n}\n"
        return bytes(content)

    async def _entries(self, up_to: int) -> AsyncGenerator[dict[str, Any], None]:
        async for row in logged_objects(self._books, up_to):
            if row.published:
                yield part_of(row, self._compression)


def part_of(row: ObjectRow, compression: Compression) -> dict[str, Any]:
    """Return what a manifest says of a published object."""
    return {
        "file": final_name(row.number, row.set, compression),
        "set": row.set,
        "bytes": row.size,
        "records": row.records,
        "sha256": row.sha256.hex(),
        "number": row.number,
        "worker": row.worker,
        "committed_at": timestamp(row.committed_at),
    }
