"""No ID pays for an outage, and a run does not wait for its end forever."""

import asyncio
import re
from itertools import count
from random import Random

import pytest
from support.defaults import health_settings, patience_settings
from support.doubles import (
    OK,
    ListSource,
    endless,
    entries,
    throttled,
)
from support.governed import (
    BROKEN,
    BUSY,
    HOUR_S,
    LATENCY_S,
    MINUTE_S,
    RULES,
    UNREACHABLE,
    Api,
    between,
    during,
    governed,
    many,
    most_within,
    work_for,
)
from support.run import Run
from support.virtual import START_S, at, virtually

from cxai.errors import StoppedError
from cxai.policy.reply import Failure, FailureKind, Reply
from cxai.policy.verdict import FailureStage, Verdict

# --- an API that is down ---


@pytest.mark.promise(
    "An outage of one hour (on a simulated clock): 5xx or no connection",
    "one probe at a time, about one a minute; no ID loses an attempt; the run finishes once the API"
    " is back",
    group="HTTP",
)
@pytest.mark.parametrize("failure", [BUSY, BROKEN, UNREACHABLE], ids=["503", "500", "dead DNS"])
@virtually
async def test_an_outage_of_an_hour_costs_no_id_its_verdict(failure):
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
async def test_a_small_run_that_begins_in_an_outage_uses_up_no_attempts(failure):
    api = Api(during(0.0, HOUR_S, failure))
    run = await governed(api, 20.0, 16, entries(*many(15))).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 15}
    assert max(api.times) < HOUR_S + 120.0


@pytest.mark.promise(
    "Connection refused while only a few IDs are open",
    "also an outage: one probe at a time, a minute apart in the end",
    group="HTTP",
)
@virtually
async def test_a_few_open_ids_also_trigger_outage_backoff():
    api = Api(during(0.0, HOUR_S, UNREACHABLE))
    run = await governed(api, 20.0, 16, entries(*many(2))).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 2}
    assert between(api.times, 0.0, HOUR_S) <= 10 + 70  # the first failures, then the probes


@pytest.mark.promise(
    "Outages of 25 s (503), one a minute",
    "the rate recovers within seconds of each",
    group="HTTP",
)
@virtually
async def test_repeated_short_outages_do_not_lower_the_rate():
    api = Api(lambda now, _under_way, _one: BUSY if now % 60.0 >= 35.0 else OK)
    await work_for(governed(api, 20.0, 16, source=ListSource(endless())), 600.0)
    assert len(api.answered) > 0.75 * 20.0 * 600.0 * 35.0 / 60.0


@pytest.mark.promise(
    "A few 503s among many answers, at any rate",
    "they are retried; the rate stays the same",
    group="Limit",
)
@pytest.mark.parametrize(
    ("rate", "share", "seconds"),
    [(60.0, 0.03, 60.0), (20.0, 0.03, 180.0), (5.0, 0.01, 600.0), (200.0, 0.05, 20.0)],
)
@virtually
async def test_single_failures_among_many_answers_do_not_lower_the_rate(rate, share, seconds):
    chance = Random(7)
    api = Api(lambda _now, _under_way, _one: BUSY if chance.random() < share else OK)
    await work_for(governed(api, rate, 64, source=ListSource(endless())), seconds)
    assert len(api.answered) > 0.75 * rate * seconds


@virtually
async def test_an_outage_whose_symptom_changes_costs_no_id_its_verdict():
    def answer(now, _under_way, _id):
        if not 10.0 <= now < 10.0 + HOUR_S:
            return OK
        return BUSY if now < HOUR_S / 2 else UNREACHABLE

    api = Api(answer)
    run = await governed(api, 20.0, 16, entries(*many(600))).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 600}


@virtually
async def test_late_answers_from_before_an_outage_do_not_end_it():
    left = count()

    def latency_s(now):  # every fourth request before the outage is answered during it
        return 60.0 + now if now < 10.0 and next(left) % 4 == 0 else LATENCY_S

    api = Api(during(10.0, 300.0, BUSY), latency_s)
    run = await governed(api, 20.0, 64, entries(*many(600))).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 600}
    assert between(api.times, 15.0, 300.0) <= 20


@virtually
async def test_late_failures_do_not_multiply_the_probes():
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
async def test_a_night_of_refusals_costs_no_id_its_verdict():
    api = Api(during(10.0, 10.0 + 8 * HOUR_S, throttled()))
    patience_s = 10 * HOUR_S
    run = await governed(api, 20.0, 16, entries(*many(600)), patience_s=patience_s).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 600}
    assert between(api.times, 10.0, 10.0 + 8 * HOUR_S) < 8 * 60 * 3
    assert max(api.times) < 10.0 + 8 * HOUR_S + 15 * MINUTE_S


@pytest.mark.promise(
    "Everything is refused with 429 for seconds, minutes or an hour",
    "the run pauses and no ID loses an attempt; the rate recovers soon after",
    group="Limit",
)
@pytest.mark.parametrize(
    ("begin", "rate", "seconds"),
    [(0.0, 20.0, 3.0), (10.0, 200.0, 3.0), (10.0, 20.0, 60.0), (0.0, 5.0, HOUR_S)],
)
@virtually
async def test_the_rate_recovers_after_everything_was_refused(begin, rate, seconds):
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
async def test_an_outage_longer_than_the_patience_stops_the_run_and_leaves_ids_open(seen, trouble):
    api = Api(during(10.0, 1e9, seen))
    patience_s = HOUR_S
    run = governed(api, 20.0, 16, entries(*many(600)), patience_s=patience_s)
    message = f"The API has refused or failed all requests for 3600 s (the last: {trouble})."
    with pytest.raises(StoppedError, match=re.escape(message)):
        await run.pipeline.run()
    assert run.governor.trouble == trouble
    assert asyncio.get_running_loop().time() - START_S == pytest.approx(10.0 + HOUR_S, abs=10.0)
    assert set(run.ledger.disk.verdicts.values()) == {Verdict.OK}
    assert len(run.ledger.disk.verdicts) == len(api.answered) < 600


@virtually
async def test_an_answer_ends_the_outage_unless_its_request_left_before():
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
async def test_an_answer_resets_the_patience():
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
async def test_without_patience_the_first_failure_stops_the_run():
    patience = patience_settings(0.0)
    run = Run(entries("a"), script={"a": [BROKEN]}, patience=patience)
    with pytest.raises(StoppedError):
        await run.pipeline.run()
    assert run.verdict("a") is None
