"""The life of an ID, stage by stage.

source → seen before? → acknowledge → backlog → pace → fetch → judge → (retry | row) → commit

The governor takes the next item from the backlog, and puts retries back. Every stage is bounded, so
a slow one holds back those before it. A requester sends its next request before the last body is
parsed. Everything passes in blocks.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import cast

from cxai.core.backlog import Backlog, Item
from cxai.core.batch import Batch
from cxai.core.entry import Entry, IgnoredLine, Outcome
from cxai.core.governor_ports import Governor
from cxai.core.pipeline_settings import PipelineSettings
from cxai.core.ports import Clock, Fetcher, Ledger, Reader, RowWriter, Source
from cxai.core.room import Room
from cxai.core.tally import Tally
from cxai.core.watchdog import Stage, StageCounter, stage_counters
from cxai.errors import CxaiError, InputBrokenError, TokenRefusedError
from cxai.policy.reply import NO_DRIFT, Arrival, Failure, ParsedReply, Record, Reply
from cxai.policy.settings import PolicySettings
from cxai.policy.step import ApiConditions, Ask, Keep, Settle, signal_of, step
from cxai.policy.table import Signal
from cxai.policy.verdict import FailureStage, Verdict
from cxai.policy.words import without_id

_JUDGED_TOGETHER = 32


@dataclass(kw_only=True, eq=False)
class Pipeline:
    """One run over one source. Its `tally`, `backlog`, `room` and `stage_counters` may be observed.

    `draw` returns random numbers in [0, 1). `on_reply` is called with each reply as it arrives.
    """

    source: Source
    ledger: Ledger
    backlog: Backlog
    governor: Governor
    fetcher: Fetcher
    reader: Reader
    row_writer: RowWriter
    clock: Clock
    rules: PolicySettings
    bounds: PipelineSettings
    draw: Callable[[], float] = random.random
    on_reply: Callable[[Item, Reply | Failure], None] | None = None

    def __post_init__(self) -> None:
        bounds = self.bounds
        self.tally = Tally()
        self.input_ended = False
        self._stage_counters = stage_counters()
        self._undecided = 0  # IDs without an outcome
        self._in_flight: set[int] = set()
        self._replies: asyncio.Queue[tuple[Item, Reply | Failure]] = asyncio.Queue(bounds.in_flight)
        size = min(bounds.batch, self.backlog.capacity)
        self._gathering = asyncio.Lock()
        self._batch = Batch(size, bounds.batch_bytes, bounds.batch_s, bounds.first_batch_s)
        self._ending = asyncio.Event()
        self._stopped_by: CxaiError | None = None
        self._input_broken: InputBrokenError | None = None
        self.room = Room(self.clock, bounds.disk_patience_s, self._ending)

    @property
    def in_flight(self) -> int:
        """The number of requests in flight."""
        return len(self._in_flight)

    @property
    def stage_counters(self) -> Mapping[Stage, StageCounter]:
        """How many each stage holds now, and has passed on."""
        sent = self.tally.requests
        self._stage_counters[Stage.PACE] = StageCounter(self.backlog.ready, sent)
        self._stage_counters[Stage.REQUESTS] = StageCounter(self.in_flight, sent - self.in_flight)
        return self._stage_counters

    @property
    def ending(self) -> bool:
        """Whether no new request leaves any more."""
        return self._ending.is_set()

    def stop(self, why: CxaiError) -> None:
        """End the run early: no new request leaves; those in flight have `grace_s` to complete."""
        self._stopped_by = self._stopped_by or why
        self._ending.set()

    def flush(self) -> None:
        """Commit the outcomes of an incomplete batch now."""
        self._batch.flush()

    async def run(self) -> None:
        """Take every ID of the source to its verdict.

        Raises what stopped it, once every reply is committed; an InputBrokenError once everything
        that was read has its verdict; a CommitError immediately.
        """
        self.governor.begin(self.stop)
        try:
            async with asyncio.TaskGroup() as group:
                intake = group.create_task(self._take_in(), name="intake")
                requesters = [
                    group.create_task(self._request(n), name=f"requester-{n}")
                    for n in range(self.bounds.in_flight)
                ]
                judges = [
                    group.create_task(self._judge(), name=f"judge-{n}")
                    for n in range(self.reader.at_once)
                ]
                committing = group.create_task(self._commit(), name="committer")
                group.create_task(self._seal_old(), name="sealer")
                await self._ending.wait()
                intake.cancel()
                await self._drain(requesters)
                await self._replies.join()
                for judge in judges:
                    judge.cancel()
                self._batch.close()
                await committing
        except* CxaiError as failed:
            first = failed.exceptions[0]
            raise first from first.__cause__
        finally:
            self.governor.rest()
            self.backlog.close()
        if (why := self._stopped_by or self._input_broken) is not None:
            raise why

    # --- source → seen before? → acknowledge → backlog ---

    async def _take_in(self) -> None:
        try:
            async with contextlib.aclosing(self.ledger.left_over()) as left_over:
                async for admission in left_over:
                    self.tally.count_in(admission.fresh, admission)
                    self.tally.left_over += len(admission.fresh)
                    await self._enter(admission.fresh)
            async with contextlib.aclosing(self.source.batches()) as batches:
                reading = self._stage_counters[Stage.INPUT]
                reading.enter()
                async for items in batches:
                    reading.leave()
                    await self._admit(items)
                    reading.enter()
        except InputBrokenError as error:
            self._input_broken = error  # raised once what was read has its verdicts
        self._stage_counters[Stage.INPUT].leave()
        self.input_ended = True
        self.governor.input_ended()
        self._commit_the_last()
        self._end_if_settled()

    async def _admit(self, items: Sequence[Entry | IgnoredLine]) -> None:
        entries = [item for item in items if isinstance(item, Entry)]
        looking = self._stage_counters[Stage.LOOK_UP]
        looking.enter(len(entries))
        admission = await self.room.wait_for(lambda: self.ledger.admit(entries))
        looking.leave(len(entries))
        self.tally.count_in(items, admission)
        if admission.answered is not None:
            self.governor.note_answered(admission.answered)
        try:
            await self.source.acknowledge(entries)
        except InputBrokenError:  # nothing is lost: they are delivered again, and known
            await self._enter(admission.fresh)
            raise
        await self._enter(admission.fresh)

    async def _enter(self, entries: Sequence[Entry]) -> None:
        entered = 0
        while entered < len(entries):
            places = await self.backlog.enter(len(entries) - entered)
            block = entries[entered : entered + places]
            entered += places
            self._undecided += places
            self.backlog.offer([Item(entry) for entry in block if entry.invalid is None])
            for entry in block:
                if entry.invalid is not None:
                    why = str(entry.invalid)
                    self._settle(Item(entry), Settle(Verdict.INVALID_ID, why, FailureStage.INPUT))
                    await self._batch.space()

    # --- backlog → pace → fetch ---

    async def _request(self, requester: int) -> None:
        while not self._ending.is_set():
            item = await self.governor.next_to_leave()
            if self._ending.is_set():
                return
            self._in_flight.add(requester)
            self.tally.count_out(item)
            reply = await self.fetcher.fetch(item.entry.id, item.endpoint)
            if self.on_reply is not None:
                self.on_reply(item, reply)
            self._stage_counters[Stage.JUDGE].enter()
            await self._replies.put((item, reply))
            self._in_flight.discard(requester)

    async def _drain(self, requesters: Sequence[asyncio.Task[None]]) -> None:
        """Wait for requests in flight, within the grace period; the others never leave."""
        for number, requester in enumerate(requesters):
            if number not in self._in_flight:
                requester.cancel()
        is_refused = isinstance(self._stopped_by, TokenRefusedError)
        await asyncio.wait(requesters, timeout=0 if is_refused else self.bounds.grace_s)
        for requester in requesters:
            requester.cancel()
        await asyncio.wait(requesters)

    # --- judge → (retry | row) ---

    async def _judge(self) -> None:
        while True:
            async with self._gathering:  # one judge at a time, or each would get only a few
                arrived = [await self._replies.get()]
                while len(arrived) < _JUDGED_TOGETHER and not self._replies.empty():
                    arrived.append(self._replies.get_nowait())
            at = self.clock.utc()
            self._decide_all(await self._read(arrived, at), at)
            for _ in arrived:
                self._replies.task_done()
            self._stage_counters[Stage.JUDGE].leave(len(arrived))
            await self._batch.space()
            await asyncio.sleep(0)  # let requesters refill before the next bodies are read

    async def _read(
        self, arrived: Sequence[tuple[Item, Reply | Failure]], at: datetime
    ) -> Sequence[tuple[Item, ParsedReply]]:
        replies = [
            Arrival(item.entry.id, item.endpoint, reply)
            for item, reply in arrived
            if isinstance(reply, Reply)
        ]
        seen = iter(await self.reader.read(replies, at) if replies else ())
        return [(item, r if isinstance(r, Failure) else next(seen)) for item, r in arrived]

    def _decide_all(self, arrived: Sequence[tuple[Item, ParsedReply]], at: datetime) -> None:
        """Decide on a block of replies, in order.

        While the API is up, consecutive results are kept together: a fifth less work.
        """
        for are_results, in_a_row in groupby(arrived, key=_is_result):
            if are_results and self.governor.is_calm:
                self._keep_all(cast("list[tuple[Item, Record]]", list(in_a_row)))
            else:
                for item, seen in in_a_row:
                    self._decide(item, seen, at)
        self._commit_the_last()

    def _keep_all(self, results: Sequence[tuple[Item, Record]]) -> None:
        for item, record in results:
            if record.drift is not NO_DRIFT:
                self.tally.note_drift(record, item.job.said)
            self._keep(item, record)
        self.governor.learn_results(results)

    def _decide(self, item: Item, seen: ParsedReply, at: datetime) -> None:
        rounds = self.governor.refused_rounds(item)
        api = ApiConditions(self.clock.monotonic(), at.timestamp(), rounds)
        signal = signal_of(item.job, seen)
        if not item.is_canary:
            self.tally.note_drift(seen, item.job.said)
        item.job, decision = step(item.job, seen, api, self.rules, self.draw())
        match decision:
            case Ask():
                self.tally.throttled += decision.pause_s is not None
                self.governor.requeue(item, decision, signal)
            case _ if item.is_canary:
                pass  # it was requested only for the governor
            case Keep(record):
                self._keep(item, record)
            case Settle() if signal is Signal.ANSWERED:
                self._settle(item, decision)
            case _:
                self.governor.hold_back(item, decision)
        for late, verdict in self.governor.learn(item, seen, signal):
            self._settle(late, verdict)

    def _keep(self, item: Item, record: Record) -> None:
        self._add(Outcome(item.entry, Verdict.OK, item.requests, record.lines))

    def _settle(self, item: Item, settle: Settle) -> None:
        entry, at, said = item.entry, self.clock.utc(), item.job.said
        lines = self.row_writer.failure(entry, settle, attempts=item.requests, at=at, said=said)
        reason = settle.reason if entry.invalid is None else entry.invalid.kind
        self.tally.note_reason(settle.verdict, reason, without_id(said.message, entry.id))
        self._add(Outcome(entry, settle.verdict, item.requests, lines))

    # --- batch → commit ---

    def _add(self, outcome: Outcome) -> None:
        self._batch.add(outcome)
        self._undecided -= 1

    async def _commit(self) -> None:
        committing = self._stage_counters[Stage.COMMIT]
        while outcomes := await self._batch.take():
            committing.enter(len(outcomes))
            await self.room.wait_for(lambda: self.ledger.commit(outcomes))
            committing.leave(len(outcomes))
            self.tally.now.update(outcome.verdict for outcome in outcomes)
            self.backlog.release(len(outcomes))
            if self.backlog.open == 0:
                self.governor.rest()
            self._end_if_settled()

    async def _seal_old(self) -> None:
        while not self._ending.is_set():
            wait_s = await self.room.wait_for(self.ledger.seal_old)
            if wait_s is None:
                return
            with contextlib.suppress(TimeoutError):  # not cancelled, so that no failure is lost
                async with asyncio.timeout(wait_s):
                    await self._ending.wait()

    def _commit_the_last(self) -> None:
        if self.input_ended and self._undecided == 0:
            self._batch.flush()

    def _end_if_settled(self) -> None:
        if self.input_ended and self.backlog.open == 0:
            self._ending.set()


def _is_result(arrived: tuple[Item, ParsedReply]) -> bool:
    item, seen = arrived
    return isinstance(seen, Record) and not item.is_canary
