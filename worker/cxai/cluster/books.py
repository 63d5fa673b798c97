"""The books of one export: what workers and feeders change in it, by the functions of books.sql."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from cxai.cluster.engine import Engine
from cxai.cluster.keys import engine_text, entry_of, item_key, payload_of
from cxai.cluster.rows import CODES, Claimed, Enqueued, Written, by_verdict
from cxai.cluster.url import EngineUrl
from cxai.cluster.view import ExportView
from cxai.core.entry import Entry
from cxai.errors import UsageError
from cxai.policy.verdict import OPEN_AGAIN, Verdict

WORKER_TTL_S = 15.0
"""Seconds without a heartbeat after which a worker is declared gone."""

_MOST_REQUESTS = 32_767  # the most that the column holds; larger numbers are stored as this
_FINAL_FOR_EVER = frozenset({Verdict.OK, Verdict.INVALID_ID})

_COMMIT = """
SELECT commit(%s, %s, %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::int[], %s::bigint[],
    %s::bytea[], %s::bytea[], %s::smallint[], %s::smallint[])
"""
_ENQUEUE = """
SELECT fresh, duplicates, settled, requeued
FROM enqueue(%s::text[], %s::bytea[], %s::bigint[], %s::jsonb[], %s::smallint[])
"""


class Books(ExportView):
    """One export, as a worker or a feeder uses it. `worker` is its number, None before `register`.

    Every method raises EngineDownError if the database can't be used now; whether it had an effect
    is unknown then. Each may be called again: nothing is done twice. Methods of a worker raise
    FencedError once it was declared gone.
    """

    def __init__(self, url: EngineUrl) -> None:
        super().__init__(url)
        self.worker: int | None = None
        self._worker_ttl_s = WORKER_TTL_S
        self._held: set[int] = set()
        self._known = 0
        # A connection for heartbeats alone: they wait for nothing else that the worker does.
        self._beats = Engine(url, purpose="beat", answer_s=WORKER_TTL_S / 2)

    async def close(self) -> None:
        """Close the connections. What is committed or claimed stays so."""
        await self._beats.close()
        await super().close()

    # --- as a worker ---

    async def register(self, name: str, *, worker_ttl_s: float = WORKER_TTL_S) -> int:
        """Register as a new worker, with a name for people; return its number, which is unique.

        Workers are declared gone after `worker_ttl_s` seconds without a heartbeat. Raises
        UsageError if the form of the export has changed since it was read.
        """
        await self._beats.close()
        self._beats = Engine(self.url, purpose="beat", answer_s=worker_ttl_s / 2)
        self._worker_ttl_s = worker_ttl_s
        form = None if self._form is None else Jsonb(self._form)
        self.worker = int(await self._one("SELECT register(%s, %s)", (engine_text(name), form)))
        self._known = await self.last_object()
        self._held.clear()
        return self.worker

    async def beat(self, state: str, *, may_reap: bool) -> int:
        """Send a heartbeat with what this worker does; to be called every few seconds.

        With `may_reap`, workers of the export that were silent for too long are declared gone, and
        their blocks freed; returns how many were. Only a worker whose own heartbeats were answered
        without a gap for that long may do so: otherwise its network or the database was silent.
        """
        values = (self.worker, engine_text(state), self._worker_ttl_s, may_reap)
        ((gone,),) = await self._beats.rows("SELECT beat(%s, %s, %s, %s)", values)
        return int(gone)

    async def claim(self, blocks: int) -> Sequence[Claimed]:
        """Claim up to `blocks` blocks; none if none is free."""
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
        """Commit outcomes, objects and acknowledgement together; return the objects' number.

        This is the commit point: when it returns, they count and survive power loss. An outcome is
        a key, its verdict and the number of requests. `blocks` are those that hold the keys, each
        with whether it has no open ID left. There is at least one object, and its pending name is
        unique: a commit that is repeated is recognized by it, and counts once.

        Raises FencedError if one of the blocks is not this worker's, IntegrityError if a key has a
        verdict or is in none of the blocks, or if the database has fewer objects than before.
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
        """Return the number of the object with this pending name, None if it doesn't count."""
        number: int | None = await self._one("SELECT committed(%s)", (pending,))
        return number

    async def mark_published(self, number: int, part_set: str) -> None:
        """Record that an object has its final name."""
        await self._engine.rows("SELECT mark_published(%s, %s)", (number, part_set))

    async def leave(self) -> None:
        """Leave as a worker, and free its blocks. Has no effect if it is gone already."""
        await self._engine.rows("SELECT leave(%s)", (self.worker,))
        self._held.clear()

    # --- as a feeder ---

    async def enqueue(self, entries: Sequence[Entry]) -> Enqueued:
        """Add lines of input, which survive power loss when this returns.

        New IDs are queued, and those whose verdict is not final (OPEN_AGAIN). If it is repeated
        after a failure, lines may be counted twice, as duplicates; no ID is ever queued twice.
        """
        payloads = [payload_of(entry) for entry in entries]
        values = (
            [engine_text(entry.source) for entry in entries],
            [item_key(entry.key) for entry in entries],
            [entry.line for entry in entries],
            [None if one is None else Jsonb(one) for one in payloads],
            [CODES[verdict] for verdict in sorted(OPEN_AGAIN)],
        )
        ((fresh, duplicates, settled, requeued),) = await self._engine.rows(_ENQUEUE, values)
        return Enqueued(fresh, duplicates, by_verdict(settled), by_verdict(requeued))

    async def finish_feeding(self) -> None:
        """Mark the input as complete, until more lines are added: the export can be settled."""
        await self._engine.rows("SELECT finish_feeding()")

    async def retry(self, verdicts: Collection[Verdict]) -> int:
        """Queue all IDs with one of these verdicts again; return how many.

        Raises UsageError for `ok` and `invalid_id`, which are never requested again.
        """
        if never := sorted(_FINAL_FOR_EVER.intersection(verdicts)):
            raise UsageError(f"IDs with the verdict {never[0]} are never requested again.")
        codes = [CODES[verdict] for verdict in verdicts]
        ((queued,),) = await self._long.rows("SELECT retry(%s::smallint[])", (codes,))
        return int(queued)


def _claimed(
    block: int,
    losses: int,
    source: str,
    keys: Sequence[bytes],
    lines: Sequence[int],
    payloads: Sequence[Mapping[str, Any] | None] | None,
) -> Claimed:
    rows = zip(keys, lines, payloads or [None] * len(keys), strict=True)
    entries = [entry_of(key, source, line, payload) for key, line, payload in rows]
    return Claimed(block, losses, entries)
