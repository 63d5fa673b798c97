"""The way of an ID, in the order in which it lives it.

source → seen before? → backlog → pace → fetch → judge → (retry | normalize) → commit

Nothing here knows HTTP, SQL or files; everything is bounded, so a slow stage holds back those
before it. Requests are refilled first: a requester sends its next request before the body it has
just read is decoded.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from cxai.core.backlog import Backlog, Inquiry
from cxai.core.batch import Batch
from cxai.core.entry import Entry, Skip
from cxai.core.outcome import Outcome
from cxai.core.ports import Admission, Clock, Fetcher, Ledger, Limiter, Reader, Recorder, Source
from cxai.core.tally import Tally
from cxai.core.watchdog import Section, loads
from cxai.errors import (
    CxaiError,
    DiskFullError,
    InputBrokenError,
    StopCause,
    StoppedError,
    TokenRefusedError,
)
from cxai.governor.budget import RetryBudget
from cxai.governor.health import Health
from cxai.policy.policy import (
    Again,
    AskResult,
    AskStatus,
    Decision,
    Halt,
    Read,
    Rules,
    Settle,
    is_readable,
    judge,
    judge_status,
)
from cxai.policy.reply import Failure, Processing, Question, Reply, Said, Status
from cxai.policy.verdict import Stage, Verdict

T = TypeVar("T")

_JUDGED_AT_ONCE = 32

_FORBIDDEN = "HTTP 403"

# Who is in doubt is asked again when a control has been.
_DOUBT_S = 1.0

# A full disk is tried again this often.
_ROOM_LOOK_S = 2.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a pipeline holds at a time.

    `in_flight`: requests under way. `backlog`: IDs taken in and not settled. `batch`: outcomes
    that are committed together, sooner if they reach `batch_bytes` or wait for `batch_s` seconds.
    `grace_s`: seconds that requests under way are given when the run is stopped. `retries_per_s`:
    repeated requests per second in the long run. `outage_patience_s`: seconds without a single
    answer after which the run is stopped; until the first reply `start_patience_s`, if that is
    less.
    `disk_patience_s`: seconds that a full disk is given to have room again.
    """

    in_flight: int = 10
    backlog: int = 5_000
    batch: int = 32
    batch_bytes: int = 8 << 20
    batch_s: float = 1.0
    grace_s: float = 30.0
    retries_per_s: float = 2.5
    outage_patience_s: float = 10_800.0
    start_patience_s: float | None = None
    disk_patience_s: float = 600.0


class Pipeline:
    """One run over one source. `tally`, `backlog` and `loads` can be watched while it goes.

    `draw` gives random numbers in [0, 1) for the jitter. `host` is where the API is, for people.
    """

    def __init__(
        self,
        *,
        source: Source,
        ledger: Ledger,
        limiter: Limiter,
        fetcher: Fetcher,
        reader: Reader,
        recorder: Recorder,
        clock: Clock,
        rules: Rules,
        bounds: Bounds,
        draw: Callable[[], float] = random.random,
        host: str = "",
    ) -> None:
        self.tally = Tally()
        self.backlog = Backlog(bounds.backlog)
        self.loads = loads()
        self.input_ended = False
        self._source = source
        self._ledger = ledger
        self._limiter = limiter
        self._fetcher = fetcher
        self._reader = reader
        self._recorder = recorder
        self._clock = clock
        self._rules = rules
        self._bounds = bounds
        self._draw = draw
        self._api = f"The API at {host}" if host else "The API"
        self._budget = RetryBudget(bounds.retries_per_s)
        self._health = Health(
            limiter,
            clock,
            in_flight=bounds.in_flight,
            patience_s=bounds.outage_patience_s,
            start_patience_s=(
                bounds.outage_patience_s
                if bounds.start_patience_s is None
                else min(bounds.start_patience_s, bounds.outage_patience_s)
            ),
            lose_patience=self._lose_patience,
        )
        self._first_left_s: float | None = None
        self._renewed_at = float("-inf")
        self._lacking_room: dict[float, str] = {}  # since when each waits for it, and for what
        self._undecided = 0  # taken in, and without an outcome
        self._flying: set[int] = set()
        self._replies: asyncio.Queue[tuple[Inquiry, Reply | Failure]] = asyncio.Queue(
            bounds.in_flight
        )
        self._batch = Batch(min(bounds.batch, bounds.backlog), bounds.batch_bytes, bounds.batch_s)
        self._ending = asyncio.Event()
        self._stopped_by: CxaiError | None = None
        self._input_broken: InputBrokenError | None = None

    @property
    def in_flight(self) -> int:
        """How many requests are under way."""
        return len(self._flying)

    @property
    def disk_full_s(self) -> float | None:
        """For how long it has waited for room on a full disk, None if it doesn't."""
        return self._clock.monotonic() - min(self._lacking_room) if self._lacking_room else None

    @property
    def lacking_room(self) -> str:
        """What the disk has run out of while it is waited for; empty otherwise."""
        return next(iter(self._lacking_room.values()), "")

    @property
    def trouble(self) -> str | None:
        """How the last request failed or was refused, None if the API has answered since."""
        return self._health.trouble

    @property
    def advice(self) -> str:
        """What to check about that, in whole sentences; empty if there is nothing."""
        return self._health.advice

    @property
    def unanswered_s(self) -> float | None:
        """Seconds since the first request left, None before that and once the API has answered."""
        if self._first_left_s is None or self._health.has_answered:
            return None
        return self._clock.monotonic() - self._first_left_s

    @property
    def ending(self) -> bool:
        """Whether nothing new is asked any more."""
        return self._ending.is_set()

    def stop(self, why: CxaiError) -> None:
        """End the run early: nothing new is asked, what is under way is given its grace."""
        self._stopped_by = self._stopped_by or why
        self._ending.set()

    async def run(self) -> None:
        """Take every ID of the source to its verdict.

        Raises what it was stopped by, after everything that came back is committed; an
        InputBrokenError after everything that was read has its verdict; a CommitError at once.
        """
        try:
            async with asyncio.TaskGroup() as group:
                intake = group.create_task(self._take_in(), name="intake")
                requesters = [
                    group.create_task(self._request(n), name=f"requester-{n}")
                    for n in range(self._bounds.in_flight)
                ]
                judging = group.create_task(self._judge(), name="judge")
                committing = group.create_task(self._commit(), name="committer")
                await self._ending.wait()
                intake.cancel()
                await self._land(requesters)
                await self._replies.join()
                judging.cancel()
                self._batch.close()
                await committing
        except* CxaiError as failed:
            first = failed.exceptions[0]
            raise first from first.__cause__
        finally:
            self._health.be_patient()
            self.backlog.close()
        if (why := self._stopped_by or self._input_broken) is not None:
            raise why

    # --- source → seen before? → backlog ---

    async def _take_in(self) -> None:
        try:
            async with contextlib.aclosing(self._source.batches()) as batches:
                reading = self.loads[Section.INPUT]
                reading.enter()
                async for items in batches:
                    reading.leave()
                    await self._admit(items)
                    reading.enter()
        except InputBrokenError as error:
            self._input_broken = error  # raised when what was read has its verdicts
        self.input_ended = True
        self.loads[Section.INPUT].leave()
        self._commit_the_last()
        self._end_if_settled()

    async def _admit(self, items: Sequence[Entry | Skip]) -> None:
        entries = [item for item in items if isinstance(item, Entry)]
        self.loads[Section.LOOK_UP].enter(len(entries))
        admission = await self._with_patience(lambda: self._ledger.admit(entries))
        self.loads[Section.LOOK_UP].leave(len(entries))
        self._count_in(items, admission)
        for entry in admission.fresh:
            await self.backlog.enter()
            self._undecided += 1
            inquiry = Inquiry(entry, suspect=entry.key in admission.suspects)
            if entry.invalid is None:
                self.backlog.offer(inquiry)
            else:
                self._settle(inquiry, Settle(Verdict.INVALID_ID, entry.invalid, Stage.INPUT))
                await self._batch.room()

    def _count_in(self, items: Sequence[Entry | Skip], admission: Admission) -> None:
        tally = self.tally
        settled_invalid = admission.settled.get(Verdict.INVALID_ID, 0)
        fresh_invalid = sum(entry.invalid is not None for entry in admission.fresh)
        distinct = len(admission.fresh) + sum(admission.settled.values())
        invalid = fresh_invalid + settled_invalid
        tally.lines += len(items)
        tally.blanks += items.count(Skip.BLANK)
        tally.comments += items.count(Skip.COMMENT)
        tally.duplicates += admission.duplicates
        tally.invalid += invalid
        tally.ids += distinct - invalid
        tally.before.update(admission.settled)

    # --- backlog → pace → fetch ---

    async def _request(self, requester: int) -> None:
        pacing, requests = self.loads[Section.PACE], self.loads[Section.REQUESTS]
        while not self._ending.is_set():
            inquiry = await self.backlog.take()
            pacing.enter()
            await self._limiter.acquire()
            pacing.leave()
            try:
                if self._ending.is_set():
                    return
                if (control := self._health.control()) is not None:
                    self.backlog.again(inquiry, 0)
                    inquiry = control
                self._flying.add(requester)
                requests.enter()
                self._count_out(inquiry)
                seen = await self._fetcher.fetch(inquiry.entry.id, inquiry.question)
            finally:
                self._limiter.release()
            requests.leave()
            self.loads[Section.JUDGE].enter()
            await self._replies.put((inquiry, seen))
            self._flying.discard(requester)

    def _count_out(self, inquiry: Inquiry) -> None:
        self.tally.requests += 1
        if inquiry.question is Question.STATUS:
            self.tally.status_requests += 1
        elif inquiry.requests > 0:
            self.tally.retries += 1
        inquiry.requests += 1
        inquiry.left_s = self._clock.monotonic()
        if self._first_left_s is None:
            self._first_left_s = inquiry.left_s

    async def _land(self, requesters: Sequence[asyncio.Task[None]]) -> None:
        """Let requests under way come back within the grace period; the others never leave."""
        for number, requester in enumerate(requesters):
            if number not in self._flying:
                requester.cancel()
        at_once = isinstance(self._stopped_by, TokenRefusedError)
        await asyncio.wait(requesters, timeout=0 if at_once else self._bounds.grace_s)
        for requester in requesters:
            requester.cancel()
        await asyncio.wait(requesters)

    # --- judge → (retry | normalize) ---

    async def _judge(self) -> None:
        while True:
            arrived = [await self._replies.get()]
            while len(arrived) < _JUDGED_AT_ONCE and not self._replies.empty():
                arrived.append(self._replies.get_nowait())
            for inquiry, seen in arrived:
                self._note_words(inquiry, seen)
                self._health.learn(inquiry, seen)
                await self._decide(inquiry, seen)
                self._replies.task_done()
                self.loads[Section.JUDGE].leave()
            await self._batch.room()
            await asyncio.sleep(0)  # let requesters refill before the next bodies are read

    async def _decide(self, inquiry: Inquiry, seen: Reply | Failure) -> None:
        match await self._decision(inquiry, seen):
            case Halt(reason):
                self._renew_or_stop(inquiry, reason)
            case _ if inquiry.is_control:
                pass  # health has learned of it, and that was all that it was asked for
            case Read(reply):
                await self._read(inquiry, reply)
            case Settle() as settle:
                self._settle(inquiry, settle)
            case Again(delay_s, burns, pause_s, heading):
                if burns:
                    inquiry.attempts += 1
                    inquiry.heading = heading
                    inquiry.suspect = True
                if pause_s is not None:
                    self.tally.throttled += 1
                    self._health.throttle(inquiry, pause_s)
                else:
                    delay_s = max(delay_s, self._budget.spend(self._clock.monotonic()))
                self.backlog.again(inquiry, delay_s)
            case AskStatus(delay_s):
                self._note_absence(inquiry)
                inquiry.question = Question.STATUS
                self.backlog.again(inquiry, delay_s)
            case AskResult(delay_s, second_look):
                self._note_absence(inquiry)
                inquiry.looked_again |= second_look
                inquiry.question = Question.RESULT
                self.backlog.again(inquiry, delay_s)

    def _note_absence(self, inquiry: Inquiry) -> None:
        if inquiry.absent_since is None:
            inquiry.absent_since = self._clock.monotonic()

    def _renew_or_stop(self, inquiry: Inquiry, reason: str) -> None:
        """Go on if there is another token than the refused one, else stop with nothing marked.

        A 403 may be about this ID alone: that is so if the same token is still good for another.
        """
        if reason == _FORBIDDEN and not inquiry.is_control:
            match self._health.is_cleared(inquiry):
                case True:
                    why = f"{reason}, though the token is good for others"
                    return self._settle(inquiry, Settle(Verdict.REJECTED, why, Stage.HEADERS))
                case False:
                    return self.backlog.again(inquiry, _DOUBT_S)
        if inquiry.left_s > self._renewed_at:
            if not self._fetcher.renew():
                words = (inquiry.said.message or "").rstrip(". ")
                says = f"{reason}: {words}" if words else reason
                return self.stop(
                    TokenRefusedError(
                        f"The API refused the token ({says}, for {inquiry.entry.id}). No ID was"
                        " given a verdict for it: put the right token in place and run the same"
                        " command again."
                    )
                )
            self._renewed_at = self._clock.monotonic()
        return None if inquiry.is_control else self.backlog.again(inquiry, 0)

    async def _decision(self, inquiry: Inquiry, seen: Reply | Failure) -> Decision:
        standing = self._health.standing(inquiry)
        if inquiry.question is Question.RESULT:
            return judge(seen, standing, self._rules, self._draw())
        if not is_readable(seen):
            return judge_status(seen, standing, self._rules, self._draw())
        status = replace(await self._reader.processing(seen), retry_after_s=seen.retry_after_s)
        if isinstance(status, Failure):
            self._note_reply(inquiry, seen)
        else:
            self._note_status(inquiry, seen, status)
            standing = replace(standing, age_s=self._age_s(status))
        return judge_status(status, standing, self._rules, self._draw())

    def _age_s(self, status: Status) -> float | None:
        declared_s = status.declared_s
        return None if declared_s is None else self._clock.utc().timestamp() - declared_s

    # --- what the API said ---

    def _note_words(self, inquiry: Inquiry, seen: Reply | Failure) -> None:
        if isinstance(seen, Failure):
            inquiry.said = replace(inquiry.said, message=None)
        elif not is_readable(seen):
            self._note_reply(inquiry, seen)

    def _note_reply(self, inquiry: Inquiry, reply: Reply) -> None:
        """Note the words of a reply that is no answer; without any, those of one like it count."""
        said = inquiry.said
        before = said.message if said.status == reply.status else None
        words = self._reader.message(reply) or before
        inquiry.said = replace(said, status=reply.status, message=words)

    def _note_status(self, inquiry: Inquiry, reply: Reply, status: Status) -> None:
        if not status.is_known and status.state != inquiry.said.state:
            self.tally.note_drift((f"status: {status.state}",))
        inquiry.processed = status.processing is Processing.PROCESSED
        inquiry.said = Said(reply.status, status.message, status.state)

    async def _read(self, inquiry: Inquiry, reply: Reply) -> None:
        result = await self._reader.result(reply)
        if isinstance(result, Failure):
            self._note_reply(inquiry, reply)
            unusable = replace(result, retry_after_s=reply.retry_after_s)
            return await self._decide(inquiry, unusable)
        lines = self._recorder.record(inquiry.entry.id, result, self._clock.utc())
        if isinstance(lines, Failure):
            return await self._decide(inquiry, lines)
        self.tally.note_drift(result.drift, result.more_drift)
        return self._keep(Outcome(inquiry.entry, Verdict.OK, inquiry.requests, lines))

    def _settle(self, inquiry: Inquiry, settle: Settle) -> None:
        lines = self._recorder.failure(
            inquiry.entry,
            settle.verdict,
            settle.reason,
            stage=settle.stage,
            attempts=inquiry.requests,
            at=self._clock.utc(),
            said=inquiry.said,
        )
        self.tally.note_reason(settle.verdict, settle.reason, inquiry.words)
        self._keep(Outcome(inquiry.entry, settle.verdict, inquiry.requests, lines))

    def _lose_patience(self) -> None:
        """Stop the run, resumable: the API has been in trouble for too long."""
        patience_s = self._health.patience_s
        if self._health.has_replied:
            what = f"has refused or failed all requests for {patience_s:.0f} s"
        else:
            what = f"has not replied once in {patience_s:.0f} s"
        self.stop(
            StoppedError(
                f"{self._api} {what} (the last: {self.trouble})."
                f"{' ' * bool(self.advice)}{self.advice}"
                " Nothing is lost: run the same command again when it is back.",
                StopCause.API,
            )
        )

    # --- commit ---

    def _keep(self, outcome: Outcome) -> None:
        self._batch.add(outcome)
        self._undecided -= 1
        self._commit_the_last()

    async def _commit(self) -> None:
        committing = self.loads[Section.COMMIT]
        while outcomes := await self._batch.take():
            committing.enter(len(outcomes))
            await self._with_patience(lambda: self._ledger.commit(outcomes))
            committing.leave(len(outcomes))
            self.tally.now.update(outcome.verdict for outcome in outcomes)
            self.backlog.release(len(outcomes))
            if self.backlog.open == 0:  # nobody waits for the API
                self._health.be_patient()
            self._end_if_settled()

    async def _with_patience(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do what the ledger is asked for; while the disk is full, wait for room and try again."""
        begun = self._clock.monotonic()
        while True:
            try:
                done = await work()
            except DiskFullError as error:
                waited_s = self._clock.monotonic() - begun
                if self._ending.is_set() or waited_s >= self._bounds.disk_patience_s:
                    raise
                self._lacking_room[begun] = error.lacking
            else:
                self._lacking_room.pop(begun, None)
                return done
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ROOM_LOOK_S):
                    await self._ending.wait()

    def _commit_the_last(self) -> None:
        if self.input_ended and self._undecided == 0:
            self._batch.flush()

    def _end_if_settled(self) -> None:
        if self.input_ended and self.backlog.open == 0:
            self._ending.set()
