"""A read-only view of one export: its form, its progress, its commit log, its verdicts."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from cxai.cluster import schema
from cxai.cluster.engine import Engine
from cxai.cluster.rows import VERDICTS, Counts, ObjectRow, Queue, Recount, WorkerRow, by_verdict
from cxai.cluster.url import EngineUrl
from cxai.policy.verdict import Verdict

_LONG_S = 600.0  # seconds that a query over every item may take
_PAGE = 1_000  # numbers of the commit log that are read at a time; each has one object for each set

# The workers of the export that are alive, or ended within a day, with their numbers of blocks.
_WORKERS = """
SELECT id, name, started_at, extract(epoch FROM clock_timestamp() - seen)::float8, gone, state,
    (SELECT count(*) FROM block WHERE owner = worker.id)
FROM worker
WHERE export = (SELECT export.name FROM export)
    AND (NOT gone OR seen > clock_timestamp() - interval '1 day')
ORDER BY started_at, id
"""


class ExportView:
    """One export, as those see it that only read. Methods raise EngineDownError."""

    def __init__(self, url: EngineUrl) -> None:
        self.url = url
        self._form: Mapping[str, Any] | None = None
        self._engine = Engine(url, purpose="worker")
        self._long = Engine(url, purpose="count", answer_s=_LONG_S)

    async def open(self) -> None:
        """Raise UsageError unless the export exists, in a database that this version can use."""
        await schema.check(self._engine)

    async def close(self) -> None:
        """Close the connections."""
        await self._engine.close()
        await self._long.close()

    async def form(self) -> Mapping[str, Any]:
        """Return what decides form and origin of the rows, as it was passed to `init`."""
        self._form = dict(await self._one("SELECT form FROM export"))
        return self._form

    async def terms(self) -> Mapping[str, Any]:
        """Return what another `init` may change, as the last one has set it."""
        return dict(await self._one("SELECT terms FROM export"))

    async def identity(self) -> tuple[str, str]:
        """Return the name of the export, and an ID that no other export has anywhere."""
        ((name, its_id),) = await self._engine.rows("SELECT name, id::text FROM export")
        return name, its_id

    async def queue(self) -> Queue:
        """Return whether anything is left to do, quickly."""
        return Queue(*(await self._engine.rows("SELECT * FROM queue()"))[0])

    async def last_object(self) -> int:
        """Return the highest number in the commit log, 0 if nothing was committed."""
        return int(await self._one("SELECT last_object FROM export"))

    async def counts(self) -> Counts:
        """Return the progress of the export, quickly."""
        ((lines, duplicates, verdicts, *rest),) = await self._engine.rows("SELECT * FROM counts()")
        return Counts(lines, duplicates, by_verdict(verdicts), *rest)

    async def recount(self) -> Recount:
        """Count every item, which takes seconds for millions and has to agree with `counts`."""
        ((ids, verdicts, in_blocks),) = await self._long.rows("SELECT * FROM recount()")
        return Recount(ids, by_verdict(verdicts), int(in_blocks))

    async def objects(self, after: int, most: int) -> Sequence[ObjectRow]:
        """Return the objects of the `most` numbers after `after`, in order; none at the end."""
        rows = await self._engine.rows("SELECT * FROM objects(%s, %s)", (after, most))
        return [ObjectRow(*row) for row in rows]

    async def unpublished_by_the_gone(self) -> Sequence[tuple[int, str, str, bytes]]:
        """Return number, set, pending name and SHA-256 of unpublished objects of gone workers.

        Up to 1,000, the oldest first.
        """
        rows = await self._engine.rows("SELECT * FROM unpublished_by_the_gone()")
        return [(number, name, pending, sha256) for number, name, pending, sha256 in rows]

    async def verdicts(
        self, keys: Sequence[bytes]
    ) -> Mapping[bytes, tuple[int | None, Verdict | None]]:
        """Return object and verdict of each of these keys that exists.

        An open one has no verdict; if it was queued again, it has the object of its last verdict.
        """
        rows = await self._engine.rows("SELECT * FROM verdicts(%s::bytea[])", (list(keys),))
        return {key: (number, VERDICTS.get(code)) for key, number, code in rows}

    async def is_gone(self, worker: int) -> bool:
        """Whether a worker, of whichever export, is gone: it can't commit any more."""
        query = "SELECT EXISTS (SELECT FROM worker WHERE id = %s AND gone)"
        return bool(await self._one(query, (worker,)))

    async def workers(self) -> Sequence[WorkerRow]:
        """Return the workers of this export: all that are alive, and those that ended today."""
        return [WorkerRow(*row) for row in await self._engine.rows(_WORKERS)]

    async def _one(self, statement: str, values: Sequence[Any] = ()) -> Any:
        return (await self._engine.rows(statement, values))[0][0]


async def logged_objects(view: ExportView, up_to: int) -> AsyncGenerator[ObjectRow, None]:
    """Yield the objects of the log with numbers up to `up_to`, in order, a page at a time."""
    after = 0
    while page := await view.objects(after, _PAGE):
        for row in page:
            if row.number > up_to:
                return
            yield row
        after = page[-1].number
