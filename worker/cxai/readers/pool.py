"""The readers of a run: started when needed, restarted when lost, and never relied on."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import compress
from typing import Self

from cxai.core.events import Emit
from cxai.core.ports import Reader
from cxai.policy.reply import Arrival, ParsedReply, Reply
from cxai.readers.child_process import ReaderNotStartedError, running_reader
from cxai.readers.link import ReaderLink, ReaderLostError
from cxai.readers.sizing import LoopLoad
from cxai.readers.wire import ReaderSettings
from cxai.resources.reply_parser import SMALL_BYTES

_BLOCKS_EACH = 2
"""Blocks sent to a reader at a time, so that it never waits for the next one."""

_MANY = 16
"""When all readers are busy, a block of this many replies is read here; a smaller one waits.

So slow readers never slow a run down, and a busy event loop leaves the work to them.
"""

PAUSES_S = (1.0, 5.0, 25.0, 125.0)
"""The waits before a lost reader is restarted. After the last one it is given up."""

SETTLED_S = 600.0
"""A reader that has run this long has all its restarts again."""

EFFECT = "slower, but nothing is lost: the main process reads these replies"
"""What a lost reader means for the run, for the log."""


class ReaderPool:
    """Reads replies on other cores, up to `count`. An adapter of `ports.Reader`; never raises.

    `own` reads, in this process, what no reader has read. A block is never sent to two readers.
    They start once `load` is high, or immediately if it is None. `secrets` returns the tokens.
    """

    def __init__(
        self,
        own: Reader,
        settings: ReaderSettings,
        count: int,
        secrets: Callable[[], Sequence[str]],
        *,
        load: LoopLoad | None = None,
        emit: Emit,
        make_link: Callable[[], ReaderLink] = ReaderLink,
        pauses_s: Sequence[float] = PAUSES_S,
        settled_s: float = SETTLED_S,
    ) -> None:
        self.at_once = _BLOCKS_EACH * count + 1  # one more, for this process
        self._own = own
        self._settings = settings
        self._count = count
        self._secrets = secrets
        self._load = load
        self._emit = emit
        self._make_link = make_link
        self._pauses_s = pauses_s
        self._settled_s = settled_s
        self._links: list[ReaderLink] = []
        self._keepers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Start the readers, unless they wait for a high load."""
        if self._load is None:
            self._start("as configured")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop all readers."""
        for task in self._keepers:
            task.cancel()
        for end in await asyncio.gather(*self._keepers, return_exceptions=True):
            if isinstance(end, Exception):  # a bug
                raise end

    async def read(self, arrived: Sequence[Arrival], at: datetime) -> Sequence[ParsedReply]:
        """Parse each reply: see `ReplyParser.parse`. `at` is when they arrived."""
        if self._load is not None and not self._keepers and self._load.is_high():
            self._start(f"the event loop was busy {self._load.share:.0%} of the time")
        parsed = await self._parsed_by_reader(arrived, at)
        left = [one for one, found in zip(arrived, parsed, strict=True) if found is None]
        rest = iter(await self._own.read(left, at) if left else ())
        return [next(rest) if found is None else found for found in parsed]

    async def _parsed_by_reader(
        self, arrived: Sequence[Arrival], at: datetime
    ) -> Sequence[ParsedReply | None]:
        """Let the least busy reader parse them; None for each reply that it has not read."""
        unread = [None] * len(arrived)
        link = min(self._links, key=lambda link: link.waiting, default=None)
        if link is None or (link.waiting >= _BLOCKS_EACH and len(arrived) >= _MANY):
            return unread
        chosen = [_fits_a_reader(one.reply) for one in arrived]
        try:
            parsed = await link.read(list(compress(arrived, chosen)), at, self._secrets())
        except ReaderLostError:
            return unread
        found = iter(parsed)
        return [next(found).reply if is_chosen else None for is_chosen in chosen]

    # --- starting and restarting ---

    def _start(self, why: str) -> None:
        self._keepers = [
            asyncio.create_task(self._keep(number, why), name=f"reader-{number}")
            for number in range(1, self._count + 1)
        ]

    async def _keep(self, number: int, why: str) -> None:
        """Keep one reader running until it is given up."""
        loop, lost = asyncio.get_running_loop(), 0
        while True:
            began = loop.time()
            try:
                end = await self._run(number, why)
            except ReaderNotStartedError as error:
                self._emit("reader_given_up", reader=number, reason=str(error), effect=EFFECT)
                return
            if loop.time() - began >= self._settled_s:
                lost = 0
            if lost == len(self._pauses_s):
                self._emit("reader_given_up", reader=number, reason=end, effect=EFFECT)
                return
            pause_s = self._pauses_s[lost]
            lost += 1
            self._emit(
                "reader_lost", reader=number, reason=end, restart_in_s=pause_s, effect=EFFECT
            )
            await asyncio.sleep(pause_s)
            why = end

    async def _run(self, number: int, why: str) -> str:
        """Run a reader; return how it ended. Raises ReaderNotStartedError."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with running_reader(self._make_link) as reader:
            with suppress(ReaderLostError):
                ready = await reader.link.begin(self._settings)
                self._emit(
                    "reader_started",
                    reader=number,
                    pid=reader.process.pid,
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


def _fits_a_reader(reply: Reply) -> bool:
    """Whether the body is small and the header ASCII: msgspec can't send lone surrogates."""
    return len(reply.body) <= SMALL_BYTES and reply.content_encoding.isascii()
