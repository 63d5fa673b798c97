"""The governor at work: the real limiter and the pipeline, on virtual time, against an API's moods.

What is promised: it settles within 10 % of a limit that it isn't told, fewer than 2 % of the
requests are refused after the first minute, no ceiling is ever exceeded, and no ID pays for an
outage.
"""

import asyncio
import re
from bisect import bisect_left
from collections import deque
from itertools import count
from random import Random

import pytest
from support.defaults import (
    health_settings,
    patience_settings,
    pipeline_settings,
    policy_settings,
    rate_settings,
)
from support.doubles import (
    ABSENT,
    FOREIGN_404,
    GARBLED,
    HTML,
    OK,
    TOKEN_REFUSED,
    TORN,
    ListSource,
    endless,
    entries,
    throttled,
)
from support.run import SIGTERM, Run, now
from support.virtual import START_S, VirtualClock, at, virtually

from cxai.errors import StoppedError, TokenRefusedError
from cxai.governor.local import LocalLimiter
from cxai.policy.reply import Failure, FailureKind, Reply
from cxai.policy.verdict import FailureStage, Verdict

RULES = policy_settings(max_attempts=6)
LATENCY_S = 0.2
MINUTE_S = 60.0
HOUR_S = 3600.0
BUSY = Reply(503)
BROKEN = Reply(500)
UNPARSED = Failure(FailureKind.NOT_JSON, FailureStage.PARSE, "is no JSON", status=200)
UNREACHABLE = Failure(FailureKind.NO_CONNECTION, FailureStage.CONNECT, "name resolution failed")


class Api:
    """Fetcher whose `answer` decides on each request: when it left, how many are under way, its ID.

    `answered` has the times at which requests left that were OK, `refused` those of all others;
    `most_at_once` is the highest number under way. `latency_s` is seconds, or a function of when.
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
    """Refuse what is more than `limit(now)` accepted requests within any second."""
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
    """Let a run without an end work so long."""
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
    """Refuse what is more than `limit` under way."""
    return lambda _now, under_way, _id: OK if under_way <= limit else refusal


def during(start, end, seen):
    """Answer everyone so between two times, and well otherwise."""
    return lambda now, _under_way, _id: seen if start <= now < end else OK


def only(one, seen):
    """Answer one ID so, and all others well."""
    return lambda _now, _under_way, interaction_id: seen if interaction_id == one else OK


def many(count):
    return [f"n{number}" for number in range(count)]


# --- limits that nobody tells ---

# A limit that is told by a bare 503 looks like single failures for a while: more of them pass.
REFUSALS = [
    (throttled(), 0.02),
    (throttled(1.0), 0.02),
    (Reply(503, retry_after_s=1.0), 0.02),
    (BUSY, 0.15),
]
told_by = pytest.mark.parametrize(
    ("refusal", "most_refused"), REFUSALS, ids=["429", "429+RA", "503+RA", "503"]
)


def settled_pace(api, start, end):
    """Return answers a second, and the share of refused requests."""
    answers, refusals = (between(sorted(t), start, end) for t in (api.answered, api.refused))
    return answers / (end - start), refusals / (answers + refusals)


@told_by
@virtually
async def test_it_settles_at_a_rate_that_it_is_not_told(refusal, most_refused):
    api = Api(at_most_a_second(lambda _now: 20, refusal))
    await work_for(governed(api, 100.0, 64, source=ListSource(endless())), 180.0)
    pace, refused = settled_pace(api, MINUTE_S, 180.0)
    assert pace == pytest.approx(20.0, rel=0.1)
    assert refused < most_refused
    assert most_within(api.times, 1.0) <= 100
    assert api.most_at_once <= 64


@told_by
@virtually
async def test_it_settles_at_a_number_under_way_that_it_is_not_told(refusal, most_refused):
    api = Api(at_most_at_once(10, refusal))
    await work_for(governed(api, 1_000.0, 64, source=ListSource(endless())), 90.0)
    pace, refused = settled_pace(api, MINUTE_S, 90.0)
    assert pace * LATENCY_S == pytest.approx(10.0, rel=0.1)
    assert refused < most_refused
    assert most_within(api.times, 1.0) <= 1_000
    assert api.most_at_once <= 64


@virtually
async def test_it_holds_a_settled_limit_for_ten_minutes():
    api = Api(at_most_a_second(lambda _now: 5, throttled()))
    await work_for(governed(api, 100.0, 64, source=ListSource(endless())), 600.0)
    for minute in range(1, 9):
        pace, refused = settled_pace(api, minute * MINUTE_S, (minute + 2) * MINUTE_S)
        assert pace == pytest.approx(5.0, rel=0.1)
        assert refused < 0.02


@virtually
async def test_no_ceiling_is_exceeded_where_the_api_would_take_more():
    api = Api(lambda *_: OK)
    await work_for(governed(api, 40.0, 6, source=ListSource(endless())), MINUTE_S)
    assert most_within(api.times, 1.0) <= 40
    assert api.most_at_once == 6


@virtually
async def test_a_limit_that_is_lifted_is_noticed():
    api = Api(at_most_a_second(lambda now: 4 if now < 180.0 else 1_000, throttled()))
    run = governed(api, 30.0, 64, source=ListSource(endless()))
    await work_for(run, 480.0)
    assert settled_pace(api, MINUTE_S, 180.0)[0] == pytest.approx(4.0, rel=0.1)
    assert settled_pace(api, 450.0, 480.0)[0] == pytest.approx(30.0, rel=0.05)


@pytest.mark.promise(
    "The API lowers its limit",
    "the rate follows within a minute",
    group="Limit",
)
@virtually
async def test_a_limit_that_falls_is_noticed():
    api = Api(at_most_a_second(lambda now: 1_000 if now < MINUTE_S else 5, throttled()))
    await work_for(governed(api, 20.0, 64, source=ListSource(endless())), 240.0)
    pace, refused = settled_pace(api, 120.0, 240.0)
    assert pace == pytest.approx(5.0, rel=0.1)
    assert refused < 0.02


@virtually
async def test_a_limit_that_others_use_up_most_of_the_time_costs_nobody_a_verdict():
    chance = Random(5)
    api = Api(lambda *_: throttled() if chance.random() < 0.9 else OK)
    run = await governed(api, 20.0, 10, entries(*many(200)), patience_s=1e6).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 200}


# --- an API that is down ---


@pytest.mark.promise(
    "An outage of one hour (on a simulated clock): 5xx or no connection",
    "one probe at a time, about one a minute; no ID is charged; it finishes when the API is back",
    group="HTTP",
)
@pytest.mark.parametrize("failure", [BUSY, BROKEN, UNREACHABLE], ids=["503", "500", "dead DNS"])
@virtually
async def test_an_hours_outage_costs_nobody_a_verdict(failure):
    api = Api(during(10.0, 10.0 + HOUR_S, failure))
    run = governed(api, 20.0, 16, entries(*many(600)))
    await run.to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 600}
    assert run.governor.outage_s is None
    assert 10 <= between(api.times, 10.0, 10.0 + HOUR_S) <= 16 + 70  # a probe a minute
    assert most_within([t for t in api.times if 15.0 < t < HOUR_S], LATENCY_S) == 1
    assert max(api.times) < 10.0 + HOUR_S + 180.0


@pytest.mark.parametrize("failure", [BUSY, BROKEN, UNREACHABLE], ids=["503", "500", "dead DNS"])
@virtually
async def test_a_small_run_that_begins_in_an_outage_burns_no_attempts(failure):
    api = Api(during(0.0, HOUR_S, failure))
    run = await governed(api, 20.0, 16, entries(*many(15))).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 15}
    assert max(api.times) < HOUR_S + 120.0


@pytest.mark.promise(
    "Connection refused, and only a few IDs are open",
    "an outage all the same: one probe at a time, a minute apart in the end",
    group="HTTP",
)
@virtually
async def test_few_ids_do_not_go_on_knocking_where_nobody_is():
    api = Api(during(0.0, HOUR_S, UNREACHABLE))
    run = await governed(api, 20.0, 16, entries(*many(2))).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 2}
    assert between(api.times, 0.0, HOUR_S) <= 10 + 70  # the failures that tell, then the probes


@pytest.mark.promise(
    "Outages of 25 s (503), one a minute",
    "the pace is what it was within seconds of each",
    group="HTTP",
)
@virtually
async def test_outages_that_come_again_and_again_leave_the_pace_as_it_was():
    api = Api(lambda now, _under_way, _one: BUSY if now % 60.0 >= 35.0 else OK)
    await work_for(governed(api, 20.0, 16, source=ListSource(endless())), 600.0)
    assert len(api.answered) > 0.75 * 20.0 * 600.0 * 35.0 / 60.0


@pytest.mark.promise(
    "A few 503 among many answers, whatever the pace",
    "they are tried again; the pace stays",
    group="Limit",
)
@pytest.mark.parametrize(
    ("rate", "share", "seconds"),
    [(60.0, 0.03, 60.0), (20.0, 0.03, 180.0), (5.0, 0.01, 600.0), (200.0, 0.05, 20.0)],
)
@virtually
async def test_accidents_do_not_slow_everyone_down(rate, share, seconds):
    chance = Random(7)
    api = Api(lambda _now, _under_way, _one: BUSY if chance.random() < share else OK)
    await work_for(governed(api, rate, 64, source=ListSource(endless())), seconds)
    assert len(api.answered) > 0.75 * rate * seconds


@virtually
async def test_an_outage_that_changes_its_face_costs_nobody_a_verdict():
    def answer(now, _under_way, _id):
        if not 10.0 <= now < 10.0 + HOUR_S:
            return OK
        return BUSY if now < HOUR_S / 2 else UNREACHABLE

    api = Api(answer)
    run = await governed(api, 20.0, 16, entries(*many(600))).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 600}


@virtually
async def test_slow_answers_from_before_an_outage_do_not_let_everyone_at_it_again():
    left = count()

    def latency_s(now):  # each fourth request before the outage is answered in the midst of it
        return 60.0 + now if now < 10.0 and next(left) % 4 == 0 else LATENCY_S

    api = Api(during(10.0, 300.0, BUSY), latency_s)
    run = await governed(api, 20.0, 64, entries(*many(600))).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 600}
    assert between(api.times, 15.0, 300.0) <= 20


@virtually
async def test_failures_that_come_late_do_not_multiply_the_probes():
    def latency_s(now):  # the last ones before the outage fail while the first probe is under way
        if not 10.6 <= now < 600.0:
            return LATENCY_S
        return 20.0 if now < 11.0 else 60.0

    api = Api(during(10.0, 600.0, BROKEN), latency_s)
    run = governed(api, 20.0, 32, entries(*many(400)))
    await run.to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 400}
    probes = [time for time in api.times if 11.0 < time < 600.0]
    assert len(probes) >= 4
    assert most_within(probes, 60.0) == 1


@virtually
async def test_a_night_of_refusals_costs_nobody_a_verdict():
    api = Api(during(10.0, 10.0 + 8 * HOUR_S, throttled()))
    patience_s = 10 * HOUR_S
    run = await governed(api, 20.0, 16, entries(*many(600)), patience_s=patience_s).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 600}
    assert between(api.times, 10.0, 10.0 + 8 * HOUR_S) < 8 * 60 * 3
    assert max(api.times) < 10.0 + 8 * HOUR_S + 15 * MINUTE_S


@pytest.mark.promise(
    "Everything is refused with 429 for seconds, minutes or an hour",
    "pauses, and no attempt is burned; the pace is what it was soon after",
    group="Limit",
)
@pytest.mark.parametrize(
    ("begin", "rate", "seconds"),
    [(0.0, 20.0, 3.0), (10.0, 200.0, 3.0), (10.0, 20.0, 60.0), (0.0, 5.0, HOUR_S)],
)
@virtually
async def test_refusals_of_everything_leave_the_pace_as_it_was(begin, rate, seconds):
    names = many(int(rate * 60.0))
    api = Api(during(begin, begin + seconds, throttled()))
    run = await governed(api, rate, 16, entries(*names)).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: len(names)}
    pause_s = min(2 * seconds, RULES.backoff_cap_s)
    undisturbed_s = len(names) / min(rate, 16 / LATENCY_S)
    assert max(api.times) < begin + seconds + pause_s + undisturbed_s + 20.0


@pytest.mark.parametrize(
    ("seen", "trouble"),
    [
        (BUSY, "HTTP 503"),
        (UNREACHABLE, "name resolution failed"),
        (
            Failure(FailureKind.BROKEN_OFF, FailureStage.BODY, "ServerDisconnectedError"),
            "connection broken off: ServerDisconnectedError",
        ),
        (throttled(), "HTTP 429"),
        (throttled(300.0), "HTTP 429"),
    ],
    ids=["503", "DNS", "broken off", "429", "429+RA"],
)
@virtually
async def test_with_the_patience_over_it_stops_and_all_that_is_open_stays_open(seen, trouble):
    api = Api(during(10.0, 1e9, seen))
    patience_s = HOUR_S
    run = governed(api, 20.0, 16, entries(*many(600)), patience_s=patience_s)
    told = f"The API has refused or failed all requests for 3600 s (the last: {trouble})."
    with pytest.raises(StoppedError, match=re.escape(told)):
        await run.pipeline.run()
    assert run.governor.trouble == trouble
    assert asyncio.get_running_loop().time() - START_S == pytest.approx(10.0 + HOUR_S, abs=10.0)
    assert set(run.ledger.disk.verdicts.values()) == {Verdict.OK}
    assert len(run.ledger.disk.verdicts) == len(api.answered) < 600


@virtually
async def test_an_answer_ends_the_trouble_unless_it_left_before_the_outage():
    def answer(call):
        return OK if call.id == "late" else BUSY

    seen = []
    run = Run(
        entries("late", *"abcd"),
        script={"late": answer, **dict.fromkeys("abcd", answer)},
        latency_s=lambda call: 5.0 if call.id == "late" else 0.1,
        health=health_settings(failures=3),
    )
    running = run.start()
    for when in (0.05, 3.0, 6.0):
        await at(when)
        seen.append(
            (run.governor.outage_s is not None, run.tally.settled_now, run.governor.trouble)
        )
    run.fetcher._script.clear()
    await running
    assert seen == [(False, 0, None), (True, 0, "HTTP 503"), (True, 0, "HTTP 503")]
    assert run.governor.trouble is None


@virtually
async def test_an_answer_renews_the_patience():
    script = {"a": [Reply(500, retry_after_s=50.0), OK], "b": [Reply(500, retry_after_s=90.0), OK]}
    patience = patience_settings(MINUTE_S)
    run = await Run(entries("a", "b"), script=script, patience=patience).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 2}


@virtually
async def test_a_feed_without_ids_does_not_use_up_the_patience():
    class Feed(ListSource):
        async def batches(self):
            yield entries("z", "a")
            await asyncio.sleep(HOUR_S)
            yield entries("b")

    patience = patience_settings(10 * MINUTE_S)
    script = {"a": [BROKEN] * 3}
    run = await Run(source=Feed(), script=script, patience=patience).to_the_end()
    assert run.tally.verdicts == {Verdict.EXHAUSTED: 1, Verdict.OK: 2}


@virtually
async def test_without_patience_the_first_trouble_stops_it():
    patience = patience_settings(0.0)
    run = Run(entries("a"), script={"a": [BROKEN]}, patience=patience)
    with pytest.raises(StoppedError):
        await run.pipeline.run()
    assert run.verdict("a") is None


# --- what everybody gets is nobody's verdict ---

FOREIGN = {
    "302": Reply(302),
    "400 without words": Reply(400),
    "402": Reply(402),
    "403 page": Reply(403, b"html"),
    "404 page": FOREIGN_404,
    "418": Reply(418),
    "HTML": HTML,
    "foreign JSON": GARBLED,
    "damaged": TORN,
    "coding": Failure(
        FailureKind.UNSUPPORTED_ENCODING, FailureStage.DECODE, "coding x", status=200
    ),
}
each_foreign = pytest.mark.parametrize("seen", FOREIGN.values(), ids=FOREIGN)


@pytest.mark.promise(
    "A gateway's 302, 402, 403, 404 or other 4xx, HTML, foreign JSON or drifted types for every ID",
    "no ID is charged; cause and what to check are shown within seconds; after the patience code 4,"
    " and everything is open",
    group="HTTP",
)
@each_foreign
@virtually
async def test_what_everybody_gets_from_the_start_is_nobodys_verdict(seen):
    run = governed(Api(lambda *_: seen), 20.0, 10, entries(*many(60)), patience_s=MINUTE_S)
    running = run.start()
    await at(2.0)
    assert run.governor.outage_s > 0
    assert run.governor.trouble
    assert run.governor.advice or seen is TORN
    with pytest.raises(StoppedError, match="has refused or failed all requests for 60 s"):
        await running
    assert now() == pytest.approx(MINUTE_S, abs=2.0)
    assert run.ledger.disk.verdicts == {}
    assert run.tally.requests < 30


@each_foreign
@virtually
async def test_what_everybody_gets_in_the_middle_of_a_run_is_nobodys_verdict(seen):
    api = Api(during(5.0, 5.0 + 10 * MINUTE_S, seen))
    run = await governed(api, 20.0, 10, entries(*many(300))).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 300}
    assert between(api.times, 6.0, 10 * MINUTE_S) < 20
    assert max(api.times) < 10 * MINUTE_S + 2 * MINUTE_S


@virtually
async def test_a_blink_of_a_gateway_costs_nobody_a_verdict():
    run = governed(Api(during(5.0, 5.5, Reply(302))), 20.0, 10, entries(*many(300)))
    await run.to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 300}


@virtually
async def test_expired_ids_in_masses_cost_no_further_request():
    names = many(2_000)
    expired = set(names[300:1_700])
    api = Api(lambda _now, _under_way, one: ABSENT if one in expired else OK)
    run = await governed(api, 100.0, 16, entries(*names)).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 600, Verdict.NOT_FOUND: 1_400}
    assert run.tally.requests == 2_000 + 1_400  # for each its status, and no canary


@pytest.mark.parametrize(
    ("seen", "verdict", "attempts"),
    [(Reply(302), Verdict.REDIRECTED, 2), (BROKEN, Verdict.EXHAUSTED, 6)],
    ids=["302", "500"],
)
@virtually
async def test_a_long_row_of_ids_in_trouble_costs_few_canaries(seen, verdict, attempts):
    names = many(1_500)
    row = set(names[500:1_000])
    api = Api(lambda _now, _under_way, one: seen if one in row else OK)
    run = governed(api, 100.0, 16, entries(*names), retries_per_s=100.0)
    await run.to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 1_000, verdict: 500}
    canaries = run.tally.requests - 1_000 - 500 * attempts
    assert canaries <= 0.03 * 500 * attempts


@virtually
async def test_a_canary_whose_result_is_gone_does_not_keep_a_run_down():
    known = set()

    def answer(now, _under_way, one):
        if (now >= 5.0 and one in known) or 5.0 <= now < 30.0:
            return BROKEN
        known.add(one)
        return OK

    run = await governed(Api(answer), 20.0, 10, entries(*many(300))).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 300}
    assert now() < 2 * MINUTE_S


@virtually
async def test_a_verdict_is_not_held_back_until_a_silent_source_goes_on():
    class Feed(ListSource):
        async def batches(self):
            yield entries("a", "b")
            await asyncio.sleep(HOUR_S)

    script = {"b": [Reply(302)] * 2}
    run = Run(source=Feed(), script=script)
    running = run.start()
    await at(MINUTE_S)
    assert run.tally.verdicts == {Verdict.OK: 1, Verdict.REDIRECTED: 1}
    await running


# --- one ID in trouble ---


@pytest.mark.parametrize(
    "seen",
    [throttled(), throttled(5.0), Reply(503, retry_after_s=5.0), BUSY, BROKEN],
    ids=["429", "429+RA", "503+RA", "503", "500"],
)
@virtually
async def test_one_id_that_is_always_refused_or_fails_is_exhausted_and_holds_nobody_back(seen):
    api = Api(only("n5", seen))
    run = governed(api, 20.0, 10, entries(*many(1_500)))
    outages = []
    running = run.start()
    while not running.done():
        await asyncio.sleep(0.5)
        outages.append(run.governor.outage_s is not None)
    await running
    assert run.tally.verdicts == {Verdict.OK: 1_499, Verdict.EXHAUSTED: 1}
    assert run.verdict("n5") is Verdict.EXHAUSTED
    assert not any(outages)
    assert max(api.answered) < 1.5 * 1_500 / 20.0


@pytest.mark.promise(
    "The last IDs are refused or fail for ever, all others have been answered",
    "an ID that was answered is asked again: with its answer the others are `exhausted`",
    group="Limit",
)
@pytest.mark.parametrize("bad", [1, 15, 40])
@pytest.mark.parametrize(
    "seen",
    [throttled(5.0), Reply(503, retry_after_s=5.0), BUSY, BROKEN],
    ids=["429", "503+RA", "503", "500"],
)
@virtually
async def test_the_last_ids_that_are_refused_or_fail_for_ever_end(seen, bad):
    names = many(300)
    tail = set(names[-bad:])
    api = Api(lambda _now, _under_way, one: seen if one in tail else OK)
    patience_s = 3 * HOUR_S
    run = governed(api, 20.0, 10, entries(*names), patience_s=patience_s)
    await run.to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 300 - bad, Verdict.EXHAUSTED: bad}
    assert now() < 1.5 * HOUR_S


@pytest.mark.promise(
    "The last 100 IDs are refused with 429 for ever (at 20 requests/s)",
    "they are settled together, within 8 minutes; with `Retry-After: 5` within 16",
    group="Limit",
)
@pytest.mark.parametrize(("refusal", "minutes"), [(throttled(), 8), (throttled(5.0), 16)])
@virtually
async def test_ids_that_are_refused_for_ever_at_the_end_are_settled_together(refusal, minutes):
    names = many(300)
    tail = set(names[200:])
    api = Api(lambda _now, _under_way, one: refusal if one in tail else OK)
    run = await governed(api, 20.0, 10, entries(*names)).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 200, Verdict.EXHAUSTED: 100}
    assert now() < minutes * MINUTE_S


@virtually
async def test_ids_that_failed_among_others_make_no_outage_when_nobody_else_is_left():
    names = many(300)
    bad = set(names[::10])
    api = Api(lambda _now, _under_way, one: BROKEN if one in bad else OK)
    run = await governed(api, 20.0, 10, entries(*names)).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 270, Verdict.EXHAUSTED: 30}


@pytest.mark.promise(
    "The first 40 IDs of an input are refused for ever: 429, or 503 with Retry-After",
    "other IDs are asked as well; once these are answered, the 40 are `exhausted`",
    group="Limit",
)
@pytest.mark.parametrize("bad", [15, 25, 40])
@pytest.mark.parametrize("seen", [throttled(), throttled(5.0), Reply(503, retry_after_s=5.0)])
@virtually
async def test_the_first_ids_that_are_refused_for_ever_hold_nobody_back(seen, bad):
    names = many(300)
    head = set(names[:bad])
    api = Api(lambda _now, _under_way, one: seen if one in head else OK)
    run = await governed(api, 20.0, 10, entries(*names)).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 300 - bad, Verdict.EXHAUSTED: bad}
    assert now() < 1.5 * HOUR_S


@pytest.mark.promise(
    "The first 500 IDs of an input fail for ever: 500, HTML, values of another type",
    "charged to them as soon as an ID far behind them is answered",
    group="HTTP",
)
@pytest.mark.parametrize("seen", [BROKEN, UNPARSED, Reply(404, b"<html>")])
@virtually
async def test_a_long_row_of_bad_ids_at_the_start_holds_nobody_back(seen):
    names = many(1_000)
    bad = set(names[:500])
    api = Api(lambda _now, _under_way, one: seen if one in bad else OK)
    run = await governed(api, 20.0, 10, entries(*names)).to_the_end()
    assert run.tally.verdicts[Verdict.OK] == 500
    assert run.tally.verdicts.total() == 1_000
    assert max(api.times) < 500 * 6 / 10.0 + 120.0  # repeats have half of the rate


# --- the token ---


@virtually
async def test_a_renewed_token_goes_on_and_loses_nothing():
    renewed_at = []

    class Renewing(Api):
        def renew(self):
            renewed_at.append(asyncio.get_running_loop().time() - START_S)
            return len(renewed_at) == 1

    def answer(now, _under_way, _id):
        return TOKEN_REFUSED if now >= 5.0 and not (renewed_at and now >= renewed_at[0]) else OK

    api = Renewing(answer)
    run = await governed(api, 100.0, 16, entries(*many(1_000))).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 1_000}
    assert len(api.refused) > 1  # those under way when it was renewed, which ask for no other
    assert len(renewed_at) == 1


@virtually
async def test_a_renewed_token_that_is_refused_as_well_stops_the_run():
    tokens = iter([True, True, False])
    api = Api(during(5.0, 1e9, TOKEN_REFUSED))
    api.renew = lambda: next(tokens)
    run = governed(api, 100.0, 16, entries(*many(1_000)))
    with pytest.raises(TokenRefusedError):
        await run.pipeline.run()
    assert len(api.refused) < 3 * 100
    assert set(run.ledger.disk.verdicts.values()) == {Verdict.OK}


@virtually
async def test_a_first_id_for_which_the_token_is_refused_waits_for_another_that_can_tell():
    class Slow(ListSource):
        async def batches(self):
            yield entries("a")
            await asyncio.sleep(MINUTE_S)
            yield entries("b", "c")

    run = Run(source=Slow(), script={"a": [Reply(403)] * 2})
    await run.to_the_end()
    assert (run.verdict("a"), run.verdict("b")) == (Verdict.REJECTED, Verdict.OK)
    assert len(run.fetcher.asked("a")) == 2


@virtually
async def test_a_turn_that_is_waited_for_in_a_pause_is_given_up_when_the_token_is_refused():
    script = {"a": [throttled(60.0), OK], "b": [TOKEN_REFUSED, OK], "c": [BROKEN, OK]}
    run = Run(
        entries("a", "b", "c", "d"),
        script=script,
        latency_s=lambda call: {"b": 10.0, "d": 20.0}.get(call.id, 0.1),
    )
    running = run.start()
    await at(15.0)
    assert (run.governor.health.doubts_token, run.pipeline.in_flight) == (True, 1)
    await running
    assert run.tally.verdicts == {Verdict.OK: 4}


# --- the retry budget ---


@virtually
async def test_in_a_storm_of_single_failures_repeats_keep_to_their_share_and_nothing_is_lost():
    failed = set()

    def answer(_now, _under_way, interaction_id):
        if interaction_id in failed:
            return OK
        failed.add(interaction_id)
        return Reply(500) if int(interaction_id[1:]) % 4 else OK

    api = Api(answer)
    run = governed(api, 40.0, 16, entries(*many(800)), retries_per_s=4.0, failures=50)
    running = run.start()
    for second in range(0, 140, 10):
        await at(second)
        assert run.tally.retries <= 10 + 4.0 * second
    await running
    assert run.tally.verdicts == {Verdict.OK: 800}
    assert run.tally.retries == 600
