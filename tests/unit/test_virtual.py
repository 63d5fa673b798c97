"""The tests' own clock: what they rely on when nothing in them ever waits."""

import asyncio
import time
from datetime import timedelta

import pytest
from support.virtual import (
    START_S,
    START_UTC,
    StuckError,
    VirtualClock,
    at,
    quiet,
    run_virtually,
    virtually,
)


def test_a_month_takes_no_time():
    began = time.monotonic()
    run_virtually(asyncio.sleep(30 * 86_400))
    assert time.monotonic() - began < 10


@virtually
async def test_timers_fire_in_order_and_at_their_time():
    fired = []

    async def note(delay_s):
        await asyncio.sleep(delay_s)
        fired.append(asyncio.get_running_loop().time() - START_S)

    await asyncio.gather(*map(note, [3600.0, 0.125, 60.0]))
    assert fired == [0.125, 60.0, 3600.0]


@virtually
async def test_both_clocks_go_together():
    clock = VirtualClock()
    assert (clock.monotonic(), clock.utc()) == (START_S, START_UTC)
    await at(90.0)
    assert (clock.monotonic(), clock.utc()) == (START_S + 90, START_UTC + timedelta(seconds=90))


@virtually
async def test_no_time_passes_while_there_is_work():
    steps = []

    async def work():
        for step in range(100):
            await asyncio.sleep(0)
            steps.append(step)

    working = asyncio.create_task(work())
    await quiet()
    assert len(steps) == 100
    await working


def test_a_timeout_ends_what_would_wait_for_ever():
    async def wait():
        async with asyncio.timeout(3600):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        run_virtually(wait())


def test_a_deadlock_fails_at_once_and_tells_who_waits_where():
    async def wait_for_nobody():
        await asyncio.Event().wait()

    async def deadlock():
        await asyncio.create_task(wait_for_nobody(), name="the-lonely-one")

    with pytest.raises(StuckError, match=r"the-lonely-one at .*wait_for_nobody:\d+"):
        run_virtually(deadlock())


def test_spinning_without_time_passing_fails():
    async def spin():
        while True:  # noqa: ASYNC110 - just this is to be found out
            await asyncio.sleep(0)

    with pytest.raises(StuckError, match="no time has passed"):
        run_virtually(spin())


def test_what_a_test_raises_is_raised():
    @virtually
    async def test():
        await asyncio.sleep(1)
        raise KeyError("seen")

    with pytest.raises(KeyError, match="seen"):
        test()
