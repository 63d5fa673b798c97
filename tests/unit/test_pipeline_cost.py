"""What an ID costs between input and commit, HTTP and body left out, counted and not timed.

Counted are the calls of functions, Python's and C's, that pipeline, governor, limiter, locks and
queues make. On virtual time it is the same on any machine. As in test_cost.py: if a change makes
this fail and is worth its price, put the new figure here and say so in the commit.
"""

import asyncio
import sys
from functools import cache
from pathlib import PurePath

import pytest
from support.defaults import pipeline_settings, rate_settings
from support.doubles import LATENCY_S, OK, entries
from support.run import Run
from support.virtual import VirtualClock, run_virtually

from cxai.governor.governor import Governor
from cxai.governor.local import LocalLimiter

MOST_GROWTH = 1.10
CALLS = {(3, 11): 105.0}
"""For an ID with a result, by Python's version; of one that is not here, nothing is asked."""

FEW, MANY = 300, 1_300  # their difference excludes the fixed cost of a run
INPUT = entries(*(f"n{number}" for number in range(MANY)))
COUNTED = {"core", "governor", "policy", "asyncio_throttle"}


class Together:
    """Fetcher whose requests are all answered when the last of them has left, and time passes."""

    def __init__(self, limiter):
        self._limiter = limiter

    def renew(self):
        return False

    async def fetch(self, interaction_id, endpoint):  # noqa: ARG002 - the port's signature
        await self._limiter.send_slot()
        await asyncio.sleep(LATENCY_S)
        return OK


class OneByOne(Governor):
    """A governor with which no results are kept together."""

    is_calm = False


async def run_of(ids, governor):
    limiter = LocalLimiter(
        rate_settings(1e9, burst=True), VirtualClock()
    )  # looked at, and never full
    run = Run(
        INPUT[:ids],
        limiter=limiter,
        fetcher=Together(limiter),
        bounds=pipeline_settings(in_flight=64),
        governor=governor,
    )
    await run.to_the_end()


@cache
def is_counted(filename):
    path = PurePath(filename)
    return path.parent.name in COUNTED or path.name in {"locks.py", "queues.py"}


def calls_of(ids, governor):
    count = 0

    def profile(frame, event, _arg):
        nonlocal count
        if event in {"call", "c_call"}:
            count += is_counted(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        run_virtually(run_of(ids, governor))
    finally:
        sys.setprofile(before)
    return count


def calls_for_an_id(governor=Governor):
    return (calls_of(MANY, governor) - calls_of(FEW, governor)) / (MANY - FEW)


needs_a_figure = pytest.mark.skipif(
    sys.version_info[:2] not in CALLS, reason="no figure of this Python is recorded"
)


@needs_a_figure
def test_an_id_takes_no_more_calls_than_a_tenth_above_what_is_recorded():
    assert calls_for_an_id() <= MOST_GROWTH * CALLS[sys.version_info[:2]]


@needs_a_figure
def test_the_cost_of_judging_each_result_alone_is_noticed():
    assert calls_for_an_id(OneByOne) > MOST_GROWTH * CALLS[sys.version_info[:2]]
