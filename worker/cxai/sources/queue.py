"""Shared by all queues: waiting out an outage, and ending after an idle time."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, Self, TypeVar
from urllib.parse import parse_qsl

from cxai.core.events import Emit
from cxai.core.run_state import Blocked
from cxai.errors import InputBrokenError, UsageError

T = TypeVar("T")

_BACKOFF_BASE_S = 0.1
_BACKOFF_CAP_S = 5.0

# During the first attempt a run can't be stopped, so it must be short.
_FIRST_ATTEMPT_S = 5.0


class UnreachableError(Exception):
    """A queue is temporarily unreachable. The message is a short reason."""


class RefusedError(Exception):
    """A queue refuses service until a change; the message is the reason and the remedy."""


class DeniedError(RefusedError):
    """A permission is missing."""


class Outage:
    """Retries during the outages of the queue `name`, each for up to `patience_s` seconds."""

    def __init__(self, name: str, patience_s: float, emit: Emit) -> None:
        self._name = name
        self._patience_s = patience_s
        self._emit = emit
        self._since: float | None = None
        self._backoff_s = _BACKOFF_BASE_S
        self._why = ""

    async def first(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Make a first attempt, before the run creates anything.

        Raises UsageError if it is refused. Any other failure begins an outage.
        """
        try:
            async with asyncio.timeout(_FIRST_ATTEMPT_S):
                await attempt()
        except TimeoutError:
            self._note(UnreachableError("no reply"))
        except UnreachableError as error:
            self._note(error)
        except RefusedError as error:
            raise UsageError(f"{self._name} can't be read: {error}") from error

    async def retry(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `attempt`, retried with backoff while it raises UnreachableError.

        Raises InputBrokenError when the patience is exhausted, or for a RefusedError.
        """
        while True:
            try:
                done = await attempt()
            except UnreachableError as error:
                waited_s = self._note(error)
                if waited_s >= self._patience_s:
                    raise InputBrokenError(
                        f"{self._name} can't be read any more: it was unreachable for"
                        f" {waited_s:.0f} s ({error})."
                    ) from error
                self._backoff_s = min(_BACKOFF_CAP_S, 2 * self._backoff_s)
                await asyncio.sleep(self._backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            except RefusedError as error:
                raise InputBrokenError(f"{self._name} can't be read any more: {error}") from error
            else:
                if self._since is not None:
                    after_s = round(_now() - self._since)
                    self._emit("queue_reachable", queue=self._name, after_s=after_s)
                self._since, self._backoff_s = None, _BACKOFF_BASE_S
                return done

    @property
    def now(self) -> Blocked | None:
        """The current outage, None if there is none."""
        if self._since is None:
            return None
        for_s = _now() - self._since
        return Blocked(self._name, for_s, self._patience_s, self._why, is_full=False)

    def _note(self, error: UnreachableError) -> float:
        """Record a failure, which may begin an outage; return how long that has lasted."""
        if self._since is None:
            self._since = _now()
            self._emit("queue_unreachable", queue=self._name, reason=str(error))
        self._why = str(error)
        return _now() - self._since


class _Connection(Protocol):
    async def close(self) -> None: ...


class QueueSource:
    """A queue as a source of IDs: adapter of RemoteSource, but for reading and acknowledging.

    Entering it makes the first attempt to `connect`, and raises UsageError if that is refused;
    `batches` waits out an outage. Leaving it closes the `connection`.
    """

    is_queue = True

    def __init__(
        self, outage: Outage, connection: _Connection, connect: Callable[[], Awaitable[None]]
    ) -> None:
        self._outage = outage
        self._connection = connection
        self._connect = connect

    async def __aenter__(self) -> Self:
        try:
            await self._outage.first(self._connect)
        except BaseException:
            await self._connection.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    @property
    def blocked(self) -> Blocked | None:
        return self._outage.now


class IdleTimer:
    """Measures the time without a message, which ends a queue after `until_idle_s` seconds.

    With None, it never ends.
    """

    def __init__(self, until_idle_s: float | None) -> None:
        self._until_idle_s = math.inf if until_idle_s is None else until_idle_s
        self._since = _now()

    def restart(self) -> None:
        """Start from 0: a message has arrived, or the queue was unreachable."""
        self._since = _now()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the last restart."""
        return _now() - self._since

    @property
    def left_s(self) -> float:
        """Seconds until the end, 0 or less at the end."""
        return self._until_idle_s - self.elapsed_s


def options_in(query: str, url: str, known: Mapping[str, str]) -> dict[str, str]:
    """Return the options in the query of a queue's URL; `known` describes the allowed ones.

    Raises UsageError, which never shows the query itself.
    """
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known or name in options or not value:
            why = "given twice" if name in options else "empty" if name in known else "unknown"
            shown = f"option {name}" if name in known else "an option"
            allowed = ", ".join(f"{one} ({what})" for one, what in known.items())
            raise UsageError(f"{url}: {shown} in the URL is {why}. Allowed are {allowed}.")
        options[name] = value
    return options


def refuse_other_options(url: str, *, names: int, column: str | None, kind: str) -> None:
    """Raise UsageError for options that no queue supports: a second name, or a column."""
    if names > 1:
        raise UsageError(f"A run reads only one {kind}. Use a separate run for each.")
    if column is not None:
        raise UsageError(
            f"--column is for CSV. For {url}, name the field of the messages with --field."
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
