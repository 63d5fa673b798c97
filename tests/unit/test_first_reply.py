"""An API that does not answer once: what is said, when, and when the run gives up."""

import asyncio
import errno
import re

import aiohttp
import pytest
from support.defaults import patience_settings, policy_settings
from support.doubles import ABSENT, FAULTY, FOREIGN_404, GARBLED, HTML, OK, entries, throttled
from support.run import Run, now
from support.virtual import at, virtually

from cxai.api.route import Route
from cxai.errors import StoppedError
from cxai.policy.reply import Failure, FailureKind, Reply
from cxai.policy.verdict import FailureStage

REFUSED = Failure(
    FailureKind.NO_CONNECTION, FailureStage.CONNECT, "Connection refused", "Check the firewall."
)
BROKEN_OFF = Failure(FailureKind.BROKEN_OFF, FailureStage.HEADERS, "ServerDisconnectedError")
SILENT = Failure(FailureKind.TIMEOUT, FailureStage.HEADERS, "timeout while reading headers")
NO_ANSWERS = [FAULTY, HTML, GARBLED, FOREIGN_404, Reply(302), Reply(402), Reply(403, b"html")]
SAID = {HTML: "HTML or XML", GARBLED: "has no participants"} | {
    seen: f"HTTP {seen.status}" for seen in NO_ANSWERS if seen not in {HTML, GARBLED}
}
START_S, OUTAGE_S = 60.0, 3600.0
RULES = policy_settings(max_attempts=10_000)
PATIENCE = patience_settings(OUTAGE_S, START_S)


def run_against(answer, patience=PATIENCE):
    """Return a run over five IDs, each of which gets `answer(seconds)`."""
    script = dict.fromkeys("abcde", lambda _call: answer(now()))
    return Run(entries(*"abcde"), script=script, patience=patience, rules=RULES)


async def stopped(run):
    with pytest.raises(StoppedError) as raised:
        await run.pipeline.run()
    return str(raised.value)


@pytest.mark.promise(
    "Not one reply since the start: no connection, broken off, timeouts",
    "the state and the log say so within a minute, with URL, cause and what to check; after"
    " `start_patience_s` the run stops with code 4 and every ID open",
    group="HTTP",
)
@virtually
async def test_without_a_single_reply_it_gives_up_after_the_start_patience():
    run = run_against(lambda _s: REFUSED)
    told = await stopped(run)
    assert "The API has not replied once in 60 s (the last: Connection refused)." in told
    assert "Check the firewall." in told
    assert now() == pytest.approx(START_S, abs=2.0)
    assert run.ledger.disk.verdicts == {}


@pytest.mark.parametrize("seen", [BROKEN_OFF, SILENT], ids=["broken off", "silent"])
@virtually
async def test_it_does_so_whatever_the_network_does(seen):
    told = await stopped(run_against(lambda _s: seen))
    assert re.search("not replied once in 60 s", told)


@virtually
async def test_the_time_until_the_first_failure_counts_too():
    script = dict.fromkeys("abcde", lambda _call: SILENT)
    run = Run(entries(*"abcde"), script=script, latency_s=25.0, patience=PATIENCE, rules=RULES)
    assert "not replied once in 60 s" in await stopped(run)
    assert now() < START_S + 30.0  # the requests under way then have their grace


@pytest.mark.parametrize("reply", [OK, throttled(), ABSENT], ids=["200", "429", "404"])
@virtually
async def test_after_any_answer_it_has_the_patience_for_an_outage(reply):
    run = run_against(lambda s: reply if s < 1.0 else REFUSED)
    running = run.start()
    await at(START_S * 3)
    if not running.done():  # else each ID has its verdict
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    elif running.exception() is not None:
        raise running.exception()


@virtually
async def test_an_api_that_asks_for_fewer_requests_is_there():
    run = run_against(lambda s: REFUSED if s < 10.0 else throttled())
    told = await stopped(run)
    assert "has refused or failed all requests for 3600 s (the last: HTTP 429)" in told
    assert now() >= OUTAGE_S


@pytest.mark.parametrize("seen", NO_ANSWERS, ids=lambda seen: f"{seen.status} {seen.body[:4]}")
@virtually
async def test_a_reply_that_is_no_answer_does_not_lengthen_the_start_patience(seen):
    told = await stopped(run_against(lambda _s: seen))
    assert f"has refused or failed all requests for 60 s (the last: {SAID[seen]}" in told
    assert now() == pytest.approx(START_S, abs=2.0)


@virtually
async def test_the_shorter_patience_counts():
    await stopped(run_against(lambda _s: REFUSED, patience_settings(5.0, START_S)))
    assert now() == pytest.approx(5.0, abs=2.0)


@virtually
async def test_a_run_knows_for_how_long_nothing_was_answered():
    run = run_against(lambda s: REFUSED if s < 20.0 else OK)
    assert run.governor.unanswered_s is None
    running = run.start()
    await at(10.0)
    assert run.governor.unanswered_s == pytest.approx(10.0, abs=1.0)
    assert (run.governor.trouble, run.governor.advice) == (REFUSED.reason, REFUSED.advice)
    await running
    assert run.governor.unanswered_s is None


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_too_few_descriptors_are_no_fault_of_the_api(number):
    error = aiohttp.ClientOSError(number, "Too many open files")
    seen = Route(None, None).failure(error)
    assert seen == Failure(
        FailureKind.NO_CONNECTION,
        FailureStage.CONNECT,
        "no file descriptors left on this machine",
    )
    assert "ulimit -n" in seen.advice
