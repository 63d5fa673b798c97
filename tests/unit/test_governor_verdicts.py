"""Which failures are the API's, and which are those of a single ID."""

import asyncio

import pytest
from support.doubles import (
    ABSENT,
    FOREIGN_404,
    GARBLED,
    HTML,
    OK,
    TORN,
    ListSource,
    entries,
    throttled,
)
from support.governed import (
    BROKEN,
    BUSY,
    HOUR_S,
    MINUTE_S,
    UNPARSED,
    Api,
    between,
    during,
    governed,
    many,
    only,
)
from support.run import Run, now
from support.virtual import at, virtually

from cxai.errors import StoppedError
from cxai.policy.reply import Failure, FailureKind, Reply
from cxai.policy.verdict import FailureStage, Verdict

# --- what every ID gets is no ID's verdict ---

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
    "Something other than the API answers for every ID: 302, 402, a foreign page with 403, 404 or"
    " another 4xx, HTML, foreign JSON, values of other types",
    "an outage, not a refused token: no ID loses an attempt; the cause and what to check are shown"
    " within seconds; code 4 after `start_patience_s` (`outage_patience_s` once the API has"
    " answered), and every ID stays open",
    group="HTTP",
)
@each_foreign
@virtually
async def test_what_every_id_gets_from_the_start_is_no_ids_verdict(seen):
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
async def test_what_every_id_gets_in_mid_run_is_no_ids_verdict(seen):
    api = Api(during(5.0, 5.0 + 10 * MINUTE_S, seen))
    run = await governed(api, 20.0, 10, entries(*many(300))).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 300}
    assert between(api.times, 6.0, 10 * MINUTE_S) < 20
    assert max(api.times) < 10 * MINUTE_S + 2 * MINUTE_S


@virtually
async def test_half_a_second_of_gateway_errors_costs_no_id_its_verdict():
    run = governed(Api(during(5.0, 5.5, Reply(302))), 20.0, 10, entries(*many(300)))
    await run.to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 300}


@virtually
async def test_many_expired_ids_cost_no_canaries():
    names = many(2_000)
    expired = set(names[300:1_700])
    api = Api(lambda _now, _under_way, one: ABSENT if one in expired else OK)
    run = await governed(api, 100.0, 16, entries(*names)).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 600, Verdict.NOT_FOUND: 1_400}
    assert run.tally.requests == 2_000 + 1_400  # one status request each, and no canary


@pytest.mark.parametrize(
    ("seen", "verdict", "attempts"),
    [(Reply(302), Verdict.REDIRECTED, 2), (BROKEN, Verdict.EXHAUSTED, 6)],
    ids=["302", "500"],
)
@virtually
async def test_a_long_row_of_failing_ids_costs_few_canaries(seen, verdict, attempts):
    names = many(1_500)
    row = set(names[500:1_000])
    api = Api(lambda _now, _under_way, one: seen if one in row else OK)
    run = governed(api, 100.0, 16, entries(*names), retries_per_s=100.0)
    await run.to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 1_000, verdict: 500}
    canaries = run.tally.requests - 1_000 - 500 * attempts
    assert canaries <= 0.03 * 500 * attempts


@virtually
async def test_a_canary_whose_result_is_gone_does_not_prolong_an_outage():
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
async def test_a_verdict_is_not_held_back_while_the_source_is_silent():
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
async def test_one_id_that_always_fails_is_exhausted_and_delays_no_other(seen):
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
    "The last IDs are always refused or always fail, and all others have been answered",
    "an ID that was answered is requested again; if the API answers, the last are `exhausted`",
    group="Limit",
)
@pytest.mark.parametrize("bad", [1, 15, 40])
@pytest.mark.parametrize(
    "seen",
    [throttled(5.0), Reply(503, retry_after_s=5.0), BUSY, BROKEN],
    ids=["429", "503+RA", "503", "500"],
)
@virtually
async def test_the_last_ids_are_exhausted_if_they_keep_failing(seen, bad):
    names = many(300)
    tail = set(names[-bad:])
    api = Api(lambda _now, _under_way, one: seen if one in tail else OK)
    patience_s = 3 * HOUR_S
    run = governed(api, 20.0, 10, entries(*names), patience_s=patience_s)
    await run.to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 300 - bad, Verdict.EXHAUSTED: bad}
    assert now() < 1.5 * HOUR_S


@pytest.mark.promise(
    "The last 100 IDs are always refused with 429 (at 20 requests/s)",
    "all are `exhausted` within 8 minutes; with `Retry-After: 5`, within 16",
    group="Limit",
)
@pytest.mark.parametrize(("refusal", "minutes"), [(throttled(), 8), (throttled(5.0), 16)])
@virtually
async def test_the_last_ids_are_exhausted_together_if_they_are_always_refused(refusal, minutes):
    names = many(300)
    tail = set(names[200:])
    api = Api(lambda _now, _under_way, one: refusal if one in tail else OK)
    run = await governed(api, 20.0, 10, entries(*names)).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 200, Verdict.EXHAUSTED: 100}
    assert now() < minutes * MINUTE_S


@virtually
async def test_failing_ids_make_no_outage_when_no_other_is_left():
    names = many(300)
    bad = set(names[::10])
    api = Api(lambda _now, _under_way, one: BROKEN if one in bad else OK)
    run = await governed(api, 20.0, 10, entries(*names)).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 270, Verdict.EXHAUSTED: 30}


@pytest.mark.promise(
    "The first 40 IDs of an input are always refused: 429, or 503 with Retry-After",
    "other IDs are requested as well; once these are answered, the 40 are `exhausted`",
    group="Limit",
)
@pytest.mark.parametrize("bad", [15, 25, 40])
@pytest.mark.parametrize("seen", [throttled(), throttled(5.0), Reply(503, retry_after_s=5.0)])
@virtually
async def test_the_first_ids_delay_no_other_if_they_are_always_refused(seen, bad):
    names = many(300)
    head = set(names[:bad])
    api = Api(lambda _now, _under_way, one: seen if one in head else OK)
    run = await governed(api, 20.0, 10, entries(*names)).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 300 - bad, Verdict.EXHAUSTED: bad}
    assert now() < 1.5 * HOUR_S


@pytest.mark.promise(
    "The first 500 IDs of an input always fail: 500, HTML, values of another type",
    "their failures count as soon as an ID far behind them is answered",
    group="HTTP",
)
@pytest.mark.parametrize("seen", [BROKEN, UNPARSED, Reply(404, b"<html>")])
@virtually
async def test_the_first_ids_delay_no_other_if_they_always_fail(seen):
    names = many(1_000)
    bad = set(names[:500])
    api = Api(lambda _now, _under_way, one: seen if one in bad else OK)
    run = await governed(api, 20.0, 10, entries(*names)).to_the_end()
    assert run.tally.verdicts[Verdict.OK] == 500
    assert run.tally.verdicts.total() == 1_000
    assert max(api.times) < 500 * 6 / 10.0 + 120.0  # retries have half of the rate
