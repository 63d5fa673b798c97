"""Reads a blocking generator on a thread and passes its items to the event loop."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import closing, suppress
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_AHEAD = 4_096
"""Most items buffered before reading pauses."""

MAX_BATCH = 512

# How long a leaving consumer waits for the thread to close its files: a read can't be interrupted.
_GRACE_S = 0.5


class ThreadedReader(Generic[T]):
    """Runs `blocks` on a daemon thread, which does not keep the process from exiting.

    `batches()` can be iterated once.
    """

    def __init__(self, blocks: Generator[Sequence[T], None, None]) -> None:
        self._blocks = blocks
        self._ahead: deque[T] = deque()
        self._change = threading.Condition()  # guards what both threads use
        self._consumer_waits = False
        self._consumer_left = False
        self._ended = False
        self._error: Exception | None = None

    async def batches(self) -> AsyncGenerator[list[T], None]:
        """Yield all items in order as they arrive, at most MAX_BATCH at a time.

        An exception of `blocks` is raised after all preceding items. When the consumer leaves
        early (`aclose`, cancellation), `blocks` is closed on its thread.
        """
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()

        def wake() -> None:
            with suppress(RuntimeError):  # the loop is closed
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
        """Return what has accumulated, None at the end. After an empty list, `wake` is called."""
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
        except Exception as error:  # noqa: BLE001 - raised to the consumer
            self._error = error
        finally:
            with self._change:
                self._ended = True
            wake()

    def _put(self, items: Sequence[T], wake: Callable[[], None]) -> bool:
        """Buffer items once there is space; return False if the consumer has left."""
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
