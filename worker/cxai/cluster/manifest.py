"""manifest.json of a shared export: what there is to load.

It has the shape of cxai/output/manifest.py, so that one loader reads both: a part for each
published object; `last_run` has the counts of the whole export.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson

from cxai.cluster.books import Books
from cxai.cluster.names import MANIFEST, final_name
from cxai.cluster.rows import ObjectRow
from cxai.cluster.store_errors import as_run_errors
from cxai.cluster.view import logged_objects
from cxai.core.timestamp import timestamp
from cxai.errors import BlockedError
from cxai.objects.port import ObjectStore
from cxai.output.compression import Compression
from cxai.version import __version__

_NOT_SHOWN = ("bands", "destination")  # the text of the score ranges, and the manifest's own place
_REFRESH_S = 10.0


class Manifest:
    """Writes the manifest of one export.

    `form` is the form of the rows as the database has it; `sets` are those that it can have.
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
        self._written: tuple[int, bool] | None = None

    async def write(self) -> None:
        """Write what the log has now; of a settled export, the last manifest written is complete.

        Several workers may write at the same time, and the slowest one replaces the others'. So
        each checks afterwards whether the state has changed. Raises StoreError, EngineDownError.
        """
        while True:
            before = await self._state()
            await self._store.replace(MANIFEST, await self._content())
            self._written = _, is_settled = await self._state()
            if self._written == before or not is_settled:
                return  # if it is not settled, the worker that settles it writes later

    async def refresh(self) -> bool:
        """Write it if nothing is left to do for now and it is outdated; return whether it was.

        So an export whose workers never end has a manifest, too.
        """
        queue = await self._books.queue()
        if queue.has_blocks or queue.has_unpublished or await self._state() == self._written:
            return False
        await self.write()
        return True

    async def keep_current(self) -> None:
        """Refresh it every few seconds until cancelled. It waits for an unreachable place."""
        while True:
            await asyncio.sleep(_REFRESH_S)
            with suppress(BlockedError), as_run_errors():
                await self.refresh()

    async def _state(self) -> tuple[int, bool]:
        """Return the last number, and whether the export is settled: what a manifest depends on."""
        return await self._books.last_object(), (await self._books.queue()).is_settled

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
        # Entry by entry: as values, those of 100,000 objects would take 20 times the memory.
        content = bytearray(orjson.dumps(head, option=orjson.OPT_INDENT_2).removesuffix(b"\n}"))
        content += b',\n  "parts": ['
        separator = b"\n    "
        async for row in logged_objects(self._books, counts.last_object):
            if row.published:
                content += separator + orjson.dumps(part_of(row, self._compression))
                separator = b",\n    "
        content += b"\n  ]\n}\n"
        return bytes(content)


def part_of(row: ObjectRow, compression: Compression) -> dict[str, Any]:
    """Return the entry of a published object in a manifest."""
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
