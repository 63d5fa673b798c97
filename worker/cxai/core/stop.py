"""A wish that a run stop early and in good order: from a signal, or from the program around it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from cxai.errors import StopCause, StoppedError, StopRequestedError

Listener = Callable[[StoppedError], None]


class StopRequest:
    """Stops the runs that it is handed to. It may be made before they begin, and from any thread.

    Made twice, it stays the first: nothing happens.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._why: StoppedError | None = None
        self._listeners: list[tuple[asyncio.AbstractEventLoop, Listener]] = []

    def make(self, why: StoppedError | None = None) -> None:
        """Ask for the stop; without a reason, it is the caller's wish."""
        with self._lock:
            if self._why is not None:
                return
            self._why = why or StopRequestedError("the caller", StopCause.CALLER)
            for loop, listener in self._listeners:
                loop.call_soon_threadsafe(listener, self._why)

    @contextmanager
    def passed_to(self, listener: Listener) -> Iterator[None]:
        """While entered, have `listener` called, on this event loop, when the stop is asked for.

        It is called at once if that has been before.
        """
        entry = (asyncio.get_running_loop(), listener)
        with self._lock:
            self._listeners.append(entry)
            made = self._why
        if made is not None:
            listener(made)
        try:
            yield
        finally:
            with self._lock:
                self._listeners.remove(entry)
