"""The pipeline with the real governor and limiter, on virtual time, against a scripted API."""

import asyncio
from bisect import bisect_left
from collections import deque

import pytest
from support.defaults import (
    health_settings,
    patience_settings,
    pipeline_settings,
    policy_settings,
    rate_settings,
)
from support.doubles import (
    OK,
)
from support.run import SIGTERM, Run
from support.virtual import START_S, VirtualClock, at

from cxai.errors import StoppedError
from cxai.governor.local import LocalLimiter
from cxai.policy.reply import Failure, FailureKind, Reply
from cxai.policy.verdict import FailureStage

RULES = policy_settings(max_attempts=6)
LATENCY_S = 0.2
MINUTE_S = 60.0
HOUR_S = 3600.0
BUSY = Reply(503)
BROKEN = Reply(500)
UNPARSED = Failure(FailureKind.NOT_JSON, FailureStage.PARSE, "is no JSON", status=200)
UNREACHABLE = Failure(FailureKind.NO_CONNECTION, FailureStage.CONNECT, "name resolution failed")


class Api:
    """Fetcher that gives `answer(when it left, requests in flight, ID)` after `latency_s` seconds.

    `answered` has the times at which requests left that were OK, `refused` those of all others;
    `most_at_once` is the most that were in flight. `latency_s` may be a function of the time.
    """

    def __init__(self, answer, latency_s=LATENCY_S):
        self.answered, self.refused = [], []
        self.most_at_once = 0
        self._answer = answer
        self._latency_s = latency_s if callable(latency_s) else lambda _now: latency_s
        self._under_way = 0

    def renew(self):
        return False

    @property
    def times(self):
        return sorted([*self.answered, *self.refused])

    async def fetch(self, interaction_id, endpoint):  # noqa: ARG002 - the port's signature
        now = asyncio.get_running_loop().time() - START_S
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        seen = self._answer(now, self._under_way, interaction_id)
        try:
            await asyncio.sleep(self._latency_s(now))
        finally:
            self._under_way -= 1
        (self.answered if seen is OK else self.refused).append(now)
        return seen


def at_most_a_second(limit, refusal):
    """Accept at most `limit(now)` requests within any second."""
    accepted = deque()

    def answer(now, _under_way, _id):
        while accepted and accepted[0] <= now - 1.0:
            accepted.popleft()
        if len(accepted) >= limit(now):
            return refusal
        accepted.append(now)
        return OK

    return answer


def governed(
    api, rate, in_flight, *blocks, source=None, patience_s=3 * HOUR_S, retries_per_s=None,
    failures=10, **more,
):  # fmt: skip
    """Return a run against `api`, with the real limiter."""
    return Run(
        *blocks,
        source=source,
        limiter=LocalLimiter(rate_settings(rate), VirtualClock()),
        rules=RULES,
        bounds=pipeline_settings(in_flight=in_flight),
        fetcher=api,
        retries_per_s=retries_per_s or rate / 2,
        health=health_settings(failures, others=in_flight),
        patience=patience_settings(patience_s, patience_s),
        **more,
    )


async def work_for(run, seconds):
    """Let an endless run work for that long."""
    running = run.start()
    await at(seconds)
    run.pipeline.stop(SIGTERM)
    with pytest.raises(StoppedError):
        await running


def between(times, start, end):
    return bisect_left(times, end) - bisect_left(times, start)


def most_within(times, window_s):
    return max(n - bisect_left(times, time - window_s + 1e-9) + 1 for n, time in enumerate(times))


def at_most_at_once(limit, refusal):
    """Accept at most `limit` requests in flight."""
    return lambda _now, under_way, _id: OK if under_way <= limit else refusal


def during(start, end, seen):
    """Answer every request with `seen` between two times, and with OK otherwise."""
    return lambda now, _under_way, _id: seen if start <= now < end else OK


def only(one, seen):
    """Answer one ID with `seen`, and all others with OK."""
    return lambda _now, _under_way, interaction_id: seen if interaction_id == one else OK


def many(count):
    return [f"n{number}" for number in range(count)]
