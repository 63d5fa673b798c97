"""The readers of a run: started when they are needed, restarted when lost, and never relied on."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import compress
from typing import Any, Protocol, Self

from cxai.core.ports import Reader
from cxai.policy.reply import Arrival, ParsedReply, Reply
from cxai.readers.link import ReaderLink, ReaderLostError
from cxai.readers.need import LoopLoad
from cxai.readers.running import ReaderNotStartedError, running_reader
from cxai.readers.wire import Recipe
from cxai.resources.reply_parser import SMALL_BYTES

_BLOCKS_EACH = 2
"""Blocks that a reader is given at a time, so that the next is there when it has finished one."""

_MANY = 16
"""When all readers are busy, a block of this many replies is read here; a smaller one waits.

So readers that get less of a processor than the worker never make a run slower than it is without
them; and where the event loop is the slower side, it leaves the work to them.
"""

PAUSES_S = (1.0, 5.0, 25.0, 125.0)
"""The waits before a reader that was lost is started again. After the last, it is given up."""

SETTLED_S = 600.0
"""A reader that has run this long is started again as often as a new one."""

EFFECT = "slower, but nothing is lost: the main process reads these replies"
"""What losing a reader means, for those who read the log at night."""


class Notice(Protocol):
    """Takes an event for the operator, with its values."""

    def __call__(self, event: str, **values: Any) -> None:
        """Note it."""
        ...


class ReaderPool:
    """Reads replies on other cores, up to `count`. An adapter of `ports.Reader`; never raises.

    `own` reads, in this process, whatever no reader has read: before one is ready, after one is
    lost, and bodies that are too large for them. A block is never given to two readers. Readers are
    started once `load` is high, or at once if it is None. `secrets` returns the tokens in use.
    """

    def __init__(
        self,
        own: Reader,
        recipe: Recipe,
        count: int,
        secrets: Callable[[], Sequence[str]],
        *,
        load: LoopLoad | None = None,
        info: Notice,
        warning: Notice,
        make_link: Callable[[], ReaderLink] = ReaderLink,
        pauses_s: Sequence[float] = PAUSES_S,
        settled_s: float = SETTLED_S,
    ) -> None:
        self.at_once = _BLOCKS_EACH * count + 1  # one more, to be read in this process
        self._own = own
        self._recipe = recipe
        self._count = count
        self._secrets = secrets
        self._load = load
        self._info = info
        self._warning = warning
        self._make_link = make_link
        self._pauses_s = pauses_s
        self._settled_s = settled_s
        self._links: list[ReaderLink] = []
        self._keeping: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Start the readers, unless they are to be started when they are needed."""
        if self._load is None:
            self._start("as configured")
        return self

    async def __aexit__(self, *_: object) -> None:
        """End them all."""
        for task in self._keeping:
            task.cancel()
        for end in await asyncio.gather(*self._keeping, return_exceptions=True):
            if isinstance(end, Exception):  # a fault of ours
                raise end

    async def read(self, arrived: Sequence[Arrival], at: datetime) -> Sequence[ParsedReply]:
        """Return what each reply is: see `ReplyParser.parse`. `at` is when they came."""
        if self._load is not None and not self._keeping and self._load.is_high():
            self._start(f"the event loop was busy {self._load.share:.0%} of the time")
        seen = await self._seen_by_a_reader(arrived, at)
        left = [one for one, found in zip(arrived, seen, strict=True) if found is None]
        rest = iter(await self._own.read(left, at) if left else ())
        return [next(rest) if found is None else found for found in seen]

    async def _seen_by_a_reader(
        self, arrived: Sequence[Arrival], at: datetime
    ) -> Sequence[ParsedReply | None]:
        """Return what the least busy reader finds; None for each reply that it has not read."""
        unread = [None] * len(arrived)
        link = min(self._links, key=lambda link: link.waiting, default=None)
        if link is None or (link.waiting >= _BLOCKS_EACH and len(arrived) >= _MANY):
            return unread
        chosen = [_is_for_a_reader(one.reply) for one in arrived]
        try:
            parsed = await link.read(list(compress(arrived, chosen)), at, self._secrets())
        except ReaderLostError:
            return unread
        found = iter(parsed)
        return [next(found).seen if is_chosen else None for is_chosen in chosen]

    # --- the life of the readers ---

    def _start(self, why: str) -> None:
        self._keeping = [
            asyncio.create_task(self._keep(number, why), name=f"reader-{number}")
            for number in range(1, self._count + 1)
        ]

    async def _keep(self, number: int, why: str) -> None:
        """Keep one reader running, until it is given up."""
        loop, lost = asyncio.get_running_loop(), 0
        while True:
            began = loop.time()
            try:
                end = await self._life(number, why)
            except ReaderNotStartedError as error:
                self._warning("reader_given_up", reader=number, reason=str(error), effect=EFFECT)
                return
            if loop.time() - began >= self._settled_s:
                lost = 0
            if lost == len(self._pauses_s):
                self._warning("reader_given_up", reader=number, reason=end, effect=EFFECT)
                return
            pause_s = self._pauses_s[lost]
            lost += 1
            self._warning(
                "reader_lost", reader=number, reason=end, again_in_s=pause_s, effect=EFFECT
            )
            await asyncio.sleep(pause_s)
            why = end

    async def _life(self, number: int, why: str) -> str:
        """Start a reader; return how it ended. Raises ReaderNotStartedError."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with running_reader(self._make_link) as reader:
            with suppress(ReaderLostError):
                ready = await reader.link.begin(self._recipe)
                self._info(
                    "reader_started",
                    reader=number,
                    pid=reader.pid,
                    reason=why,
                    start_s=round(loop.time() - began, 2),
                    memory_mb=ready.memory_bytes >> 20,
                )
                self._links.append(reader.link)
                try:
                    await reader.link.lost.wait()
                finally:
                    self._links.remove(reader.link)
        return reader.end


def _is_for_a_reader(reply: Reply) -> bool:
    """Whether a reply is small, and its header is ASCII: msgspec can't send lone surrogates."""
    return len(reply.body) <= SMALL_BYTES and reply.content_encoding.isascii()
