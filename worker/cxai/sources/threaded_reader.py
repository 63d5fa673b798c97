"""Brings what a blocking generator yields to the event loop, without blocking it."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import closing, suppress
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_AHEAD = 4_096
"""The most items that wait to be taken before the reading waits, too."""

MAX_BATCH = 512

# How long a consumer that leaves waits for the thread to close its files. That takes as long as a
# block does, but no time suffices if the thread is held in a read that nobody answers.
_GRACE_S = 0.5


class ThreadedReader(Generic[T]):
    """Runs `blocks` on a daemon thread of its own and hands over its items in batches.

    A thread of the default executor would not do: held in a read of standard input, it would keep
    the process from exiting. For one use: `batches()` can be iterated once.
    """

    def __init__(self, blocks: Generator[Sequence[T], None, None]) -> None:
        self._blocks = blocks
        self._ahead: deque[T] = deque()
        self._change = threading.Condition()  # guards all that both threads touch
        self._consumer_waits = False
        self._consumer_left = False
        self._ended = False
        self._error: Exception | None = None

    async def batches(self) -> AsyncGenerator[list[T], None]:
        """Yield all items in order, as soon as there are any, MAX_BATCH at most at a time.

        An exception of `blocks` is raised after all items before it. When the consumer leaves
        early (`aclose`, cancellation), `blocks` is closed on its thread.
        """
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody is left to be woken
                loop.call_soon_threadsafe(woken.set)

        thread = threading.Thread(target=self._run, args=(wake,), name="source", daemon=True)
        thread.start()
        try:
            while (batch := self._take()) is not None:
                if batch:
                    yield batch
                else:
                    await woken.wait()
                    woken.clear()
            if self._error:
                raise self._error
        finally:
            with self._change:
                self._consumer_left = True
                self._change.notify()
            with suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_S):
                    while not self._ended:
                        await woken.wait()
                        woken.clear()
                thread.join()

    def _take(self) -> list[T] | None:
        """Return what has accumulated; None at the end. If it's nothing, a wake-up will follow."""
        with self._change:
            count = min(len(self._ahead), MAX_BATCH)
            if count:
                self._change.notify()
            elif self._ended:
                return None
            else:
                self._consumer_waits = True
            return [self._ahead.popleft() for _ in range(count)]

    def _run(self, wake: Callable[[], None]) -> None:
        try:
            with closing(self._blocks):
                for block in self._blocks:
                    for start in range(0, len(block), MAX_BATCH):
                        if not self._put(block[start : start + MAX_BATCH], wake):
                            return
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised to the consumer
            self._error = error
        finally:
            with self._change:
                self._ended = True
            wake()

    def _put(self, items: Sequence[T], wake: Callable[[], None]) -> bool:
        """Add to what waits to be taken, once there is room; return False if nobody will come."""
        with self._change:
            self._change.wait_for(
                lambda: self._consumer_left or len(self._ahead) + len(items) <= MAX_AHEAD
            )
            if self._consumer_left:
                return False
            self._ahead.extend(items)
            waits, self._consumer_waits = self._consumer_waits, False
        if waits:
            wake()
        return True
