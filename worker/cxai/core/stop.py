"""A request to stop a run early and in good order, by a signal or by the calling program."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from cxai.errors import StopCause, StoppedError, StopRequestedError

Listener = Callable[[StoppedError], None]


class StopRequest:
    """Stops the runs that it is passed to. It may be made before they begin, on any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._why: StoppedError | None = None
        self._listeners: list[tuple[asyncio.AbstractEventLoop, Listener]] = []

    def make(self, why: StoppedError | None = None) -> None:
        """Request the stop, unless that was done; without a reason, on behalf of the caller."""
        with self._lock:
            if self._why is not None:
                return
            self._why = why or StopRequestedError("the caller", StopCause.CALLER)
            for loop, listener in self._listeners:
                loop.call_soon_threadsafe(listener, self._why)

    @contextmanager
    def passed_to(self, listener: Listener) -> Iterator[None]:
        """While entered, call `listener` on this event loop when the stop is requested.

        It is called immediately if the stop was requested before.
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
