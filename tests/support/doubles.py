"""Doubles of the pipeline's ports, in memory. tests/contract checks them like their adapters.

They run on virtual time (support/virtual.py) as well as on real time.
"""

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from cxai.core.entry import Entry, Fault, IdRule, IgnoredLine, key_of
from cxai.core.ports import Admission
from cxai.errors import CommitError, DiskFullError
from cxai.policy.reply import (
    Endpoint,
    Failure,
    FailureKind,
    Processing,
    Reply,
)
from cxai.policy.table import Signal
from cxai.policy.verdict import OPEN_AGAIN, FailureStage, Verdict

# --- replies of the API, in the plain form that PlainReader (support/plain.py) reads ---

OK = Reply(200, b"a result")
ABSENT = Reply(404)
REJECTED = Reply(400, b"says: no such model")
FOREIGN_404 = Reply(404, b"html")
TOKEN_REFUSED = Reply(401)
FAULTY = Reply(503)
GARBLED = Reply(200, b"garbled")
HTML = Reply(200, b"html")
TORN = Reply(200, b"torn")
DROPPED = Failure(FailureKind.BROKEN_OFF, FailureStage.HEADERS, "connection closed")
UNDER_WAY, PROCESSED, FAILED, AWAITING_FILE = (
    Reply(200, processing.value.encode())
    for processing in (
        Processing.UNDER_WAY,
        Processing.PROCESSED,
        Processing.FAILED,
        Processing.AWAITING_FILE,
    )
)


def throttled(retry_after_s=None):
    return Reply(429, retry_after_s=retry_after_s)


# --- sources ---


def entries(*ids):
    """Return the entries of an input with one of these IDs a line."""
    return [Entry(key_of(name), name, "ids.txt", line) for line, name in enumerate(ids, 1)]


def invalid(*texts):
    """Return the entries of an input with one of these, which are no IDs, a line."""
    return [IdRule().refused(raw.encode(), "ids.txt", 1, Fault("is not a GUID")) for raw in texts]


def endless(block_of=10):
    """Yield blocks of entries with ever new IDs: n0, n1, …"""
    for first in count(step=block_of):
        yield entries(*(f"n{number}" for number in range(first, first + block_of)))


class ListSource:
    """Source of the given blocks; at their end it raises `breaks`, if that is given.

    `read` counts the items that were taken; `closed` is whether its iterator was closed.
    `acknowledged` has the entries that were.
    """

    is_queue = False

    def __init__(self, blocks=(), *, breaks=None):
        self.acknowledged = []
        self.read = 0
        self.closed = False
        self._blocks = blocks
        self._breaks = breaks

    async def batches(self):
        try:
            for block in self._blocks:
                self.read += len(block)
                yield block
            if self._breaks is not None:
                raise self._breaks
        finally:
            self.closed = True

    async def acknowledge(self, entries):
        self.acknowledged += entries


class QueueSource:
    """Source of the messages in a list, which outlives it as a queue outlives a process.

    A message that is acknowledged is gone; any other is delivered again by the next source. At
    their end it raises `breaks`, if that is given, or waits for ever, if it `is_endless`.
    """

    is_queue = True

    def __init__(self, messages, *, breaks=None, is_endless=False):
        self.messages = messages
        self._is_endless = is_endless
        self._breaks = breaks

    async def batches(self):
        delivered = list(self.messages)
        for start in range(0, len(delivered), 10):
            yield delivered[start : start + 10]
        if self._breaks is not None:
            raise self._breaks
        if self._is_endless:
            await asyncio.get_running_loop().create_future()

    async def acknowledge(self, entries):
        done = {(entry.source, entry.line) for entry in entries}
        self.messages[:] = [
            item
            for item in self.messages
            if isinstance(item, IgnoredLine) or (item.source, item.line) not in done
        ]


# --- ledger ---


@dataclass
class Disk:
    """What outlives a MemoryLedger, as a directory outlives a process."""

    verdicts: dict[bytes | str, Verdict] = field(default_factory=dict)
    inbox: dict[bytes | str, Entry] = field(default_factory=dict)
    lines: dict[str, bytes] = field(default_factory=lambda: defaultdict(bytes))


class MemoryLedger:
    """Ledger on a `disk` in memory.

    A commit waits for `gate` (open, until a test clears it). The commit with the number `fails_at`
    (from 1) raises CommitError; while `is_full`, each raises DiskFullError. `commits` has the
    outcomes of each that succeeded. With `is_queue` it keeps what it admits in the inbox.
    """

    def __init__(self, disk=None, *, reopen=(), fails_at=None, is_queue=False):
        self.is_full = False
        self.disk = disk or Disk()
        self.gate = asyncio.Event()
        self.gate.set()
        self.commits = []
        self._attempts = 0
        self._fails_at = fails_at
        self._open_again = (OPEN_AGAIN | frozenset(reopen)) - {Verdict.OK}
        self._is_queue = is_queue
        self._seen = set()
        self._now = {}  # the verdicts of this run
        self._again = set()

    async def left_over(self):
        self.disk.inbox = {
            key: entry
            for key, entry in self.disk.inbox.items()
            if self.disk.verdicts.get(key) is not Verdict.OK
        }
        waiting = list(self.disk.inbox.values())
        for start in range(0, len(waiting), 3):
            await asyncio.sleep(0)
            block = waiting[start : start + 3]
            self._seen.update(entry.key for entry in block)
            yield Admission(block, 0, {})

    async def admit(self, block):
        await asyncio.sleep(0)  # others get their turn, as they do while a thread looks it up
        fresh, duplicates, settled, answered, retaken = [], 0, Counter(), None, Counter()
        for entry in block:
            if self._has_come(entry.key):
                duplicates += 1
                if self._is_to_be_replaced(entry.key):
                    retaken[self._now[entry.key]] += 1
                    self._again.add(entry.key)
                    fresh.append(entry)
                continue
            verdict = self.disk.verdicts.get(entry.key)
            if verdict is None or verdict in self._open_again:
                fresh.append(entry)
                if self._is_queue:
                    self.disk.inbox[entry.key] = entry
            else:
                settled[verdict] += 1
                if verdict is Verdict.OK:
                    answered = entry
            if not self._is_queue:
                self._seen.add(entry.key)
        return Admission(fresh, duplicates, settled, answered, retaken)

    def _has_come(self, key):
        if self._is_queue:
            return key in self.disk.inbox or key in self._now
        return key in self._seen

    def _is_to_be_replaced(self, key):
        is_left = self._is_queue and key in self.disk.inbox
        return is_left and key in self._now and key not in self._again

    async def seal_old(self):
        return None

    async def commit(self, outcomes):
        work = asyncio.ensure_future(self._commit(list(outcomes)))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            while not work.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([work])
            raise

    async def _commit(self, outcomes):
        await self.gate.wait()
        self._attempts += 1
        if self.is_full:
            raise DiskFullError("The disk is full.", "the disk is full")
        if self._attempts == self._fails_at:
            raise CommitError("The disk is full.")
        verdicts = dict(self.disk.verdicts)
        for outcome in outcomes:
            if verdicts.get(outcome.entry.key) is Verdict.OK:
                raise CommitError("An ID with a record got another verdict.")
            verdicts[outcome.entry.key] = outcome.verdict
        self.disk.verdicts = verdicts
        for outcome in outcomes:
            key, verdict = outcome.entry.key, outcome.verdict
            self._now[key] = verdict
            self._again.discard(key)
            if verdict not in OPEN_AGAIN:
                self.disk.inbox.pop(key, None)
            for part_set, lines in outcome.lines.items():
                self.disk.lines[part_set] += lines
        self.commits.append(outcomes)


# --- limiter ---


class FreeLimiter:
    """Limiter without a rate: only a pause holds requests back.

    `pauses` has each that was asked for, `learned` the signal of each reply, `overloads` when the
    request left for each that was noted; `restored` counts.
    """

    def __init__(self, clock):
        self.pauses = []
        self.learned = []
        self.overloads = []
        self.restored = 0
        self._clock = clock
        self._paused_until = -math.inf
        self._news = asyncio.Event()

    async def acquire(self, is_wanted):
        while is_wanted():
            if (wait_s := self._paused_until - self._clock.monotonic()) <= 0:
                return True
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._news.wait()
        return False

    def learn(self, signal, left_s):  # noqa: ARG002 - the port's signature
        self.learned.append(signal)
        self._news.set()

    def learn_answers(self, left_s):
        self.learned += [Signal.ANSWERED] * len(left_s)

    def note_overload(self, left_s):
        self.overloads.append(left_s)

    def restore(self):
        self.restored += 1

    def pause(self, seconds, why):
        self.pauses.append((seconds, why))
        self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)


# --- fetcher ---


@dataclass(frozen=True)
class Call:
    """One request: when it left (seconds of the loop's time), and what for."""

    at: float
    id: str
    endpoint: Endpoint


LATENCY_S = 0.125  # so that times can be added without rounding

Answer = Reply | Failure
Script = list[Answer] | Callable[[Call], Answer]


class ScriptedFetcher:
    """Fetcher that takes its answers from `script`, by ID: in order, or from a function.

    An ID without a script is OK. One that is requested more often than its script allows fails the
    test. `latency_s` is seconds, or a function of the Call. `calls` has every request,
    `abandoned` the IDs of those that were cancelled.
    """

    def __init__(self, script=None, *, latency_s=LATENCY_S):
        self.calls = []
        self.abandoned = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.tokens = 0
        self._script: dict[str, Script] = script or {}
        self._told = Counter()
        self._latency_s = latency_s if callable(latency_s) else lambda _call: latency_s

    def renew(self):
        """Find another token `tokens` times."""
        self.tokens -= 1
        return self.tokens >= 0

    def asked(self, interaction_id):
        """Return what was asked of one ID, in order."""
        return [call.endpoint for call in self.calls if call.id == interaction_id]

    def times(self, interaction_id=None):
        """Return when requests left, all or those for one ID."""
        return [call.at for call in self.calls if interaction_id in {None, call.id}]

    async def fetch(self, interaction_id, endpoint):
        call = Call(asyncio.get_running_loop().time(), interaction_id, endpoint)
        self.calls.append(call)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self._latency_s(call))
        except asyncio.CancelledError:
            self.abandoned.append(interaction_id)
            raise
        finally:
            self.in_flight -= 1
        return self._answer(call)

    def _answer(self, call):
        script = self._script.get(call.id)
        if script is None:
            return OK
        if callable(script):
            return script(call)
        self._told[call.id] += 1
        if self._told[call.id] > len(script):
            raise AssertionError(f"{call.id} was requested again: {call.endpoint}")
        return script[self._told[call.id] - 1]
