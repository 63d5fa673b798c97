"""Virtual time: an hour's wait takes no time at all, and a deadlock fails at once.

Decorate an async test with `@virtually`. No sockets and no threads on this loop: nothing from
outside ever wakes it. Good for some months; beyond, asyncio's timers are finer than its floats.
"""

import asyncio
import functools
import selectors
from datetime import UTC, datetime, timedelta

START_S = 1_000.0
"""When virtual time begins. Not 0, which code may take for "never"."""

START_UTC = datetime(2025, 1, 31, 2, 3, 4, tzinfo=UTC)
"""The wall clock's time then."""

_MOST_TURNS = 200_000
"""Turns of the loop without any time passing, from which on it is taken to spin for ever."""


class StuckError(AssertionError):
    """The code under test waits for what never comes, or spins without time passing."""


class _TimeMachine(selectors.DefaultSelector):
    """Where a real loop would sleep until its next timer, moves the time there."""

    def __init__(self):
        super().__init__()
        self.now = START_S
        self.tasks = lambda: ()
        self._turns = 0

    def select(self, timeout=None):
        if timeout is None:
            raise StuckError(f"nothing is ready and no timer runs: {self._places()}")
        before = self.now
        self.now += timeout
        self._turns = self._turns + 1 if self.now == before else 0
        if self._turns > _MOST_TURNS:
            raise StuckError(f"{_MOST_TURNS:,} turns and no time has passed: {self._places()}")
        return []

    def _places(self):
        return ", ".join(sorted(f"{task.get_name()} at {_place(task)}" for task in self.tasks()))


def _place(task):
    if not (stack := task.get_stack(limit=1)):
        return "its end"
    frame = stack[-1]
    return f"{frame.f_code.co_qualname}:{frame.f_lineno}"


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time() stands still while there is work, and jumps when there is none."""

    def __init__(self):
        self._machine = _TimeMachine()
        super().__init__(self._machine)
        self._machine.tasks = lambda: asyncio.all_tasks(self)

    def time(self):
        return self._machine.now


class VirtualClock:
    """Double of ports.Clock: the virtual time of the running loop."""

    def monotonic(self):
        return asyncio.get_running_loop().time()

    def utc(self):
        return START_UTC + timedelta(seconds=self.monotonic() - START_S)


def run_virtually(work):
    """Run a coroutine to its end on virtual time. Raises StuckError instead of hanging."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


def virtually(test):
    """Make an async test a plain one that runs on virtual time."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        return run_virtually(test(*args, **kwargs))

    return run


async def at(seconds):
    """Return when so much of virtual time has passed since the beginning."""
    await asyncio.sleep(START_S + seconds - asyncio.get_running_loop().time())


async def quiet():
    """Return when all that can be done without time passing is done."""
    await asyncio.sleep(1e-6)
