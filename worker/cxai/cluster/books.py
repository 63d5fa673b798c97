"""The books of one export, as one worker or feeder sees them: typed methods over books.sql."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from cxai.cluster import schema
from cxai.cluster.engine import Engine
from cxai.cluster.keys import entry_of, item_key, payload_of
from cxai.cluster.rows import (
    Claimed,
    Counts,
    Enqueued,
    ObjectRow,
    Queue,
    Recount,
    WorkerRow,
    Written,
)
from cxai.cluster.url import EngineUrl
from cxai.cluster.verdict_codes import CODES, VERDICTS, by_verdict
from cxai.core.entry import Entry
from cxai.errors import UsageError
from cxai.policy.verdict import OPEN_AGAIN, Verdict

WORKER_TTL_S = 15.0
"""Seconds without a beat after which others take a worker for dead."""

_MOST_REQUESTS = 32_767
"""As many as a column counts; more are as many."""

_PATIENCE_S = 600.0
"""Seconds for what looks at every item."""

_NEVER_AGAIN = frozenset({Verdict.OK, Verdict.INVALID_ID})


class Books:
    """One export. `worker` is the number that this process has there, None before `register`.

    Every method raises EngineDownError if the engine can't be used now; whether it had an effect is
    then unknown, and each may be called again: what was done before is not done twice. Those that
    act as a worker raise FencedError once others took it for dead.
    """

    def __init__(self, url: EngineUrl) -> None:
        self.url = url
        self.worker: int | None = None
        self._worker_ttl_s = WORKER_TTL_S
        self._held: set[int] = set()
        self._known = 0
        self._form: Mapping[str, Any] | None = None
        self._engine = Engine(url, purpose="worker")
        self._pulse = _pulse(url, WORKER_TTL_S)
        self._long = Engine(url, purpose="count", answer_s=_PATIENCE_S)

    async def open(self) -> None:
        """Raise UsageError unless the export is there, in a database that this version can use."""
        await schema.check(self._engine)
        self._known = max(self._known, await self.last_object())

    async def close(self) -> None:
        """Let go of the connections; what is committed stays, and so does what is claimed."""
        for engine in (self._engine, self._pulse, self._long):
            await engine.close()

    async def form(self) -> Mapping[str, Any]:
        """Return what decides form and origin of the rows, as it was given to `init`."""
        self._form = dict(await self._one("SELECT form FROM export"))
        return self._form

    async def terms(self) -> Mapping[str, Any]:
        """Return what may change by another `init`, as it was given last."""
        return dict(await self._one("SELECT terms FROM export"))

    async def identity(self) -> tuple[str, str]:
        """Return the name of the export, and what tells it from any other, also elsewhere."""
        (row,) = await self._engine.rows("SELECT name, id::text FROM export")
        return row[0], row[1]

    # --- as a worker ---

    async def register(self, name: str, *, worker_ttl_s: float = WORKER_TTL_S) -> int:
        """Begin as a new worker, `name` for people. Returns the number that no other ever has.

        Workers are taken for dead after `worker_ttl_s` seconds without a beat. Raises UsageError if
        the export has got another form since it was read here.
        """
        await self._pulse.close()
        self._worker_ttl_s, self._pulse = worker_ttl_s, _pulse(self.url, worker_ttl_s)
        form = None if self._form is None else Jsonb(self._form)
        self.worker = int(await self._one("SELECT register(%s, %s)", (_text(name), form)))
        self._held.clear()
        return self.worker

    async def beat(self, state: str, *, may_reap: bool) -> int:
        """Show the others that this worker lives, and what it does; once in a few seconds.

        With `may_reap`, workers of the export that were silent for too long are declared gone, and
        their blocks freed; returns how many were. Only a worker whose own beats have been answered
        without a gap for that long may do so: else it was itself, or the engine, that was silent.
        """
        values = (self.worker, _text(state), self._worker_ttl_s, may_reap)
        (row,) = await self._pulse.rows("SELECT beat(%s, %s, %s, %s)", values)
        return int(row[0])

    async def claim(self, blocks: int) -> Sequence[Claimed]:
        """Take up to `blocks` blocks; none if none is free."""
        rows = await self._engine.rows(
            "SELECT * FROM claim(%s, %s::bigint[], %s)", (self.worker, list(self._held), blocks)
        )
        claimed = [_claimed(*row) for row in rows]
        self._held.update(one.block for one in claimed)
        return claimed

    async def commit(
        self,
        outcomes: Collection[tuple[bytes, Verdict, int]],
        blocks: Mapping[int, bool],
        written: Sequence[Written],
    ) -> int:
        """Make outcomes, objects and acknowledgement one; return the number of the objects.

        This is the commit point: when it returns, they count and survive power loss. An outcome is
        a key, its verdict and the number of requests. `blocks` are those in which the keys are,
        each with whether it has no open ID left. There is at least one object, and its pending
        name is never used for anything else: by that, a commit that is repeated counts once.

        Raises FencedError if one of the blocks is not this worker's, IntegrityError if a key has a
        verdict, is in none of the blocks, or the database knows fewer objects than it did.
        Nothing counts then.
        """
        if not written:
            raise ValueError("a commit without an object")
        keys, verdicts, requests = zip(*outcomes, strict=True)
        finished = [block for block, is_finished in blocks.items() if is_finished]
        objects = [(one.set, one.pending, one.records, one.size, one.sha256) for one in written]
        values = (
            self.worker,
            self._known,
            list(blocks),
            finished,
            *map(list, zip(*objects, strict=True)),
            list(keys),
            [CODES[verdict] for verdict in verdicts],
            [min(count, _MOST_REQUESTS) for count in requests],
        )
        self._known = number = int(await self._one(_COMMIT, values))
        self._held.difference_update(finished)
        return number

    async def committed(self, pending: str) -> int | None:
        """Return the number of the object that was put under this name, None if none counts."""
        number: int | None = await self._one("SELECT committed(%s)", (pending,))
        return number

    async def mark_published(self, number: int, part_set: str) -> None:
        """Note that an object has its final name."""
        await self._engine.rows("SELECT mark_published(%s, %s)", (number, part_set))

    async def leave(self) -> None:
        """End as a worker: its blocks are free, and it is gone. Complete if it is so already."""
        await self._engine.rows("SELECT leave(%s)", (self.worker,))
        self._held.clear()

    # --- as a feeder ---

    async def enqueue(self, entries: Sequence[Entry]) -> Enqueued:
        """Take lines of input in: they survive power loss when this returns.

        New IDs are queued, and those whose verdict is not final (OPEN_AGAIN). If it is repeated
        after a failure, the lines may be counted twice, as duplicates; no ID is ever queued twice.
        """
        payloads = [payload_of(entry) for entry in entries]
        values = (
            [_text(entry.source) for entry in entries],
            [item_key(entry.key) for entry in entries],
            [entry.line for entry in entries],
            [None if one is None else Jsonb(_plain(one)) for one in payloads],
            [CODES[verdict] for verdict in sorted(OPEN_AGAIN)],
        )
        (row,) = await self._engine.rows(_ENQUEUE, values)
        fresh, duplicates, settled, requeued = row
        return Enqueued(fresh, duplicates, by_verdict(settled), by_verdict(requeued))

    async def finish_feeding(self) -> None:
        """Note that no more lines come, until some do: the export can be finished."""
        await self._engine.rows("SELECT finish_feeding()")

    async def retry(self, verdicts: Collection[Verdict]) -> int:
        """Queue all IDs again that have one of these verdicts; return how many.

        Raises UsageError for `ok` and `invalid_id`, which are never asked again.
        """
        if never := sorted(_NEVER_AGAIN.intersection(verdicts)):
            raise UsageError(f"IDs with the verdict {never[0]} are never requested again.")
        codes = [CODES[verdict] for verdict in verdicts]
        (row,) = await self._long.rows("SELECT retry(%s::smallint[])", (codes,))
        return int(row[0])

    # --- what is there ---

    async def queue(self) -> Queue:
        """Return whether anything is left to do, quickly."""
        (row,) = await self._engine.rows("SELECT * FROM queue()")
        return Queue(*row)

    async def last_object(self) -> int:
        """Return the highest number of the log, 0 if nothing was committed."""
        return int(await self._one("SELECT last_object FROM export"))

    async def counts(self) -> Counts:
        """Return how far the export is, quickly."""
        (row,) = await self._engine.rows("SELECT * FROM counts()")
        lines, duplicates, verdicts, *rest = row
        return Counts(lines, duplicates, by_verdict(verdicts), *rest)

    async def recount(self) -> Recount:
        """Count every item: it takes seconds for millions, and has to agree with `counts`."""
        (row,) = await self._long.rows("SELECT * FROM recount()")
        ids, verdicts, in_blocks = row
        return Recount(ids, by_verdict(verdicts), int(in_blocks))

    async def objects(self, after: int, most: int) -> Sequence[ObjectRow]:
        """Return the objects of up to `most` numbers after one, in order; none at the end."""
        rows = await self._engine.rows("SELECT * FROM objects(%s, %s)", (after, most))
        return [ObjectRow(*row) for row in rows]

    async def unpublished_by_the_gone(self) -> Sequence[tuple[int, str, str, bytes]]:
        """Return number, set, pending name and SHA-256 of objects without their final name.

        Only those of workers that are gone; up to 1,000 at once, the oldest first.
        """
        rows = await self._engine.rows("SELECT * FROM unpublished_by_the_gone()")
        return [(number, name, pending, sha256) for number, name, pending, sha256 in rows]

    async def verdicts(
        self, keys: Sequence[bytes]
    ) -> Mapping[bytes, tuple[int | None, Verdict | None]]:
        """Return the object and the verdict of each of these keys that is known.

        One that is open has no verdict; if it is queued again, it has the object of its last one.
        """
        rows = await self._engine.rows("SELECT * FROM verdicts(%s::bytea[])", (list(keys),))
        return {key: (number, VERDICTS.get(code)) for key, number, code in rows}

    async def gone(self, workers: Collection[int]) -> Collection[int]:
        """Return which of these workers are gone, of whichever export: they commit nothing more."""
        rows = await self._engine.rows(
            "SELECT id FROM worker WHERE id = ANY (%s::bigint[]) AND gone", (list(workers),)
        )
        return {worker for (worker,) in rows}

    async def workers(self) -> Sequence[WorkerRow]:
        """Return the workers of this export: all that live, and those that ended today."""
        return [WorkerRow(*row) for row in await self._engine.rows(_WORKERS)]

    async def _one(self, statement: str, values: Sequence[Any] = ()) -> Any:
        rows = await self._engine.rows(statement, values)
        return rows[0][0]


def _pulse(url: EngineUrl, worker_ttl_s: float) -> Engine:
    """Return a connection for beats alone: a beat waits for nothing else that the worker does."""
    return Engine(url, purpose="beat", answer_s=worker_ttl_s / 2)


def _claimed(
    block: int,
    losses: int,
    source: str,
    keys: Sequence[bytes],
    lines: Sequence[int],
    payloads: Sequence[Mapping[str, Any] | None] | None,
) -> Claimed:
    more = payloads or [None] * len(keys)
    entries = [
        entry_of(key, source, line, payload)
        for key, line, payload in zip(keys, lines, more, strict=True)
    ]
    return Claimed(block, losses, entries)


def _text(value: str) -> str:
    """Return a text as the engine can hold it: a name of a file may have bytes that are none."""
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _plain(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: _text(value) for name, value in payload.items()}


_COMMIT = (
    "SELECT commit(%s, %s, %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::int[],"
    " %s::bigint[], %s::bytea[], %s::bytea[], %s::smallint[], %s::smallint[])"
)
_ENQUEUE = (
    "SELECT fresh, duplicates, settled, requeued"
    " FROM enqueue(%s::text[], %s::bytea[], %s::bigint[], %s::jsonb[], %s::smallint[])"
)
_WORKERS = (
    "SELECT id, name, started_at, extract(epoch FROM clock_timestamp() - seen)::float8, gone,"
    " state, (SELECT count(*) FROM block WHERE owner = worker.id) FROM worker"
    " WHERE export = (SELECT export.name FROM export)"
    " AND (NOT gone OR seen > clock_timestamp() - interval '1 day') ORDER BY started_at, id"
)
