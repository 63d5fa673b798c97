"""The rate adapts to limits that the API does not publish.

It settles within 10 % of the limit, fewer than 2 % of the requests are refused after the first
minute, and no ceiling is ever exceeded.
"""

from random import Random

import pytest
from support.doubles import (
    OK,
    ListSource,
    endless,
    entries,
    throttled,
)
from support.governed import (
    BUSY,
    LATENCY_S,
    MINUTE_S,
    Api,
    at_most_a_second,
    at_most_at_once,
    between,
    governed,
    many,
    most_within,
    work_for,
)
from support.virtual import at, virtually

from cxai.policy.reply import Reply
from cxai.policy.verdict import Verdict

# --- limits that are not published ---

# A limit enforced with a bare 503 looks like single failures at first: more are refused.
REFUSALS = [
    (throttled(), 0.02),
    (throttled(1.0), 0.02),
    (Reply(503, retry_after_s=1.0), 0.02),
    (BUSY, 0.15),
]
refused_with = pytest.mark.parametrize(
    ("refusal", "most_refused"), REFUSALS, ids=["429", "429+RA", "503+RA", "503"]
)


def settled_pace(api, start, end):
    """Return answers per second, and the share of refused requests."""
    answers, refusals = (between(sorted(t), start, end) for t in (api.answered, api.refused))
    return answers / (end - start), refusals / (answers + refusals)


@refused_with
@virtually
async def test_the_rate_settles_at_an_unpublished_limit(refusal, most_refused):
    api = Api(at_most_a_second(lambda _now: 20, refusal))
    await work_for(governed(api, 100.0, 64, source=ListSource(endless())), 180.0)
    pace, refused = settled_pace(api, MINUTE_S, 180.0)
    assert pace == pytest.approx(20.0, rel=0.1)
    assert refused < most_refused
    assert most_within(api.times, 1.0) <= 100
    assert api.most_at_once <= 64


@refused_with
@virtually
async def test_requests_in_flight_settle_at_an_unpublished_limit(refusal, most_refused):
    api = Api(at_most_at_once(10, refusal))
    await work_for(governed(api, 1_000.0, 64, source=ListSource(endless())), 90.0)
    pace, refused = settled_pace(api, MINUTE_S, 90.0)
    assert pace * LATENCY_S == pytest.approx(10.0, rel=0.1)
    assert refused < most_refused
    assert most_within(api.times, 1.0) <= 1_000
    assert api.most_at_once <= 64


@virtually
async def test_a_settled_rate_stays_at_the_limit_for_ten_minutes():
    api = Api(at_most_a_second(lambda _now: 5, throttled()))
    await work_for(governed(api, 100.0, 64, source=ListSource(endless())), 600.0)
    for minute in range(1, 9):
        pace, refused = settled_pace(api, minute * MINUTE_S, (minute + 2) * MINUTE_S)
        assert pace == pytest.approx(5.0, rel=0.1)
        assert refused < 0.02


@virtually
async def test_no_ceiling_is_exceeded_even_if_the_api_would_accept_more():
    api = Api(lambda *_: OK)
    await work_for(governed(api, 40.0, 6, source=ListSource(endless())), MINUTE_S)
    assert most_within(api.times, 1.0) <= 40
    assert api.most_at_once == 6


@virtually
async def test_the_rate_rises_again_when_a_limit_is_lifted():
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
async def test_the_rate_follows_a_limit_that_falls():
    api = Api(at_most_a_second(lambda now: 1_000 if now < MINUTE_S else 5, throttled()))
    await work_for(governed(api, 20.0, 64, source=ListSource(endless())), 240.0)
    pace, refused = settled_pace(api, 120.0, 240.0)
    assert pace == pytest.approx(5.0, rel=0.1)
    assert refused < 0.02


@virtually
async def test_a_limit_that_other_clients_mostly_use_up_costs_no_id_its_verdict():
    chance = Random(5)
    api = Api(lambda *_: throttled() if chance.random() < 0.9 else OK)
    run = await governed(api, 20.0, 10, entries(*many(200)), patience_s=1e6).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 200}


# --- the retry budget ---


@virtually
async def test_retries_stay_within_their_budget_when_most_first_attempts_fail():
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
