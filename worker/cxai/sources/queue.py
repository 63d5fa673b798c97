"""What all queues share: how an outage is waited for, and how long a silence is an end."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar
from urllib.parse import parse_qsl

from cxai.core.run_state import Blocked
from cxai.errors import InputBrokenError, UsageError
from cxai.sources.options import Notice

T = TypeVar("T")

_BACKOFF_BASE_S = 0.1
_BACKOFF_CAP_S = 5.0

# The first attempt is made before a run heeds a stop: it may not take long.
_FIRST_ATTEMPT_S = 5.0


class UnreachableError(Exception):
    """A queue does not answer, or not now: that may pass. As text it says why, in a few words."""


class RefusedError(Exception):
    """A queue does answer, and will not serve us until something is changed.

    As text it says what, where and what to do, in sentences.
    """


class DeniedError(RefusedError):
    """A permission is missing."""


class Outage:
    """Outlasts the outages of the queue `name`, each for up to `patience_s` seconds.

    `notice` learns when one begins, and when it is over.
    """

    def __init__(self, name: str, patience_s: float, notice: Notice) -> None:
        self._name = name
        self._patience_s = patience_s
        self._notice = notice
        self._since: float | None = None
        self._failures = 0
        self._why = ""

    async def begin(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Make a first attempt, so that what is refused is known before anything is created.

        Raises UsageError then. Any other failure is the beginning of an outage.
        """
        try:
            async with asyncio.timeout(_FIRST_ATTEMPT_S):
                await attempt()
        except TimeoutError:
            self._note(UnreachableError("it does not reply"))
        except UnreachableError as error:
            self._note(error)
        except RefusedError as error:
            raise UsageError(f"{self._name} can't be read: {error}") from error

    async def outlast(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what `attempt` does, which is repeated while it raises UnreachableError.

        Raises InputBrokenError when patience is over, or for a RefusedError.
        """
        while True:
            try:
                done = await attempt()
            except UnreachableError as error:
                self._note(error)
                self._lose_patience(error)
                backoff_s = min(_BACKOFF_CAP_S, _BACKOFF_BASE_S * 2**self._failures)
                await asyncio.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            except RefusedError as error:
                raise InputBrokenError(f"{self._name} can't be read on: {error}") from error
            else:
                self._end()
                return done

    @property
    def now(self) -> Blocked | None:
        """The outage that is waited for, None if there is none."""
        if self._since is None:
            return None
        for_s = _now() - self._since
        return Blocked(self._name, for_s, self._patience_s, self._why, is_full=False)

    def _note(self, error: UnreachableError) -> None:
        """Note that the queue can't be reached: an outage begins, or goes on."""
        if self._since is None:
            self._since = _now()
            self._notice("queue_unreachable", queue=self._name, reason=str(error))
        self._failures += 1
        self._why = str(error)

    def _end(self) -> None:
        if self._since is not None:
            self._notice("queue_reachable", queue=self._name, after_s=round(_now() - self._since))
        self._since, self._failures = None, 0

    def _lose_patience(self, error: UnreachableError) -> None:
        assert self._since is not None  # noqa: S101 - for the type checker
        waited_s = _now() - self._since
        if waited_s >= self._patience_s:
            raise InputBrokenError(
                f"{self._name} can't be read on: it could not be reached for {waited_s:.0f} s"
                f" ({error})."
            ) from error


class Silence:
    """How long nothing has come, and whether that is the end: after `until_idle_s` seconds.

    None for `until_idle_s` is never.
    """

    def __init__(self, until_idle_s: float | None) -> None:
        self._until_idle_s = math.inf if until_idle_s is None else until_idle_s
        self._since = _now()

    def restart(self) -> None:
        """Begin to wait: something has come, or the queue could not be read meanwhile."""
        self._since = _now()

    @property
    def lasted_s(self) -> float:
        """Seconds since it began."""
        return _now() - self._since

    @property
    def left_s(self) -> float:
        """Seconds until it is the end, 0 or less if it is."""
        return self._until_idle_s - self.lasted_s


def options_in(query: str, url: str, known: Mapping[str, str]) -> dict[str, str]:
    """Return the options behind the `?` of a queue's URL, those of `known` alone.

    `known` maps each name to what it is. Raises UsageError, which never shows the query itself.
    """
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known or name in options or not value:
            why = "empty" if name in known else "unknown"
            why = "given twice" if name in options else why
            shown = name if name in known else "an option"
            allowed = ", ".join(f"{one} ({what})" for one, what in known.items())
            raise UsageError(f"{url}: {shown} behind the ? is {why}. Allowed are {allowed}.")
        options[name] = value
    return options


def refuse_other_options(url: str, *, names: int, column: str | None, kind: str) -> None:
    """Raise UsageError for what no queue can take: a second name beside it, or a column."""
    if names > 1:
        raise UsageError(f"A run reads one {kind}: give each to a run of its own.")
    if column is not None:
        raise UsageError(
            f"--column is for CSV. For {url} name a field of its messages with --field."
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
