"""The way of an ID, stage by stage, on virtual time and with doubles of everything around it."""

from collections import Counter

import pytest
from support.defaults import pipeline_settings, policy_settings
from support.doubles import (
    ABSENT,
    AWAITING_FILE,
    DROPPED,
    FAILED,
    FAULTY,
    FOREIGN_404,
    GARBLED,
    HTML,
    LATENCY_S,
    OK,
    PROCESSED,
    REJECTED,
    TORN,
    UNDER_WAY,
    entries,
    throttled,
)
from support.plain import PlainReader, PlainRowWriter
from support.run import RULES, Run, now
from support.virtual import START_S, VirtualClock, virtually

from cxai.errors import TokenRefusedError
from cxai.policy.reply import Endpoint, Reply, Said
from cxai.policy.verdict import Verdict

RESULT, STATUS = Endpoint.RESULT, Endpoint.STATUS


def among_others(*ids):
    """Return these IDs after one that is answered, so that their failures are no outage."""
    return entries("other", *ids)


# --- each way to a verdict ---


@pytest.mark.parametrize(
    ("answers", "verdict", "asked"),
    [
        ([OK], Verdict.OK, [RESULT]),
        ([FAULTY, DROPPED, OK], Verdict.OK, [RESULT] * 3),
        ([TORN, TORN, OK], Verdict.OK, [RESULT] * 3),
        ([FAULTY, DROPPED, FAULTY], Verdict.EXHAUSTED, [RESULT] * 3),
        ([TORN, TORN, TORN], Verdict.CORRUPT_BODY, [RESULT] * 3),
        ([FAULTY, FAULTY, TORN], Verdict.EXHAUSTED, [RESULT] * 3),
        ([FAULTY, FAULTY, HTML], Verdict.EXHAUSTED, [RESULT] * 3),
        ([HTML, FAULTY, HTML], Verdict.EXHAUSTED, [RESULT] * 3),
        ([HTML, throttled(), HTML, HTML], Verdict.BAD_BODY, [RESULT] * 4),
        ([GARBLED] * 2, Verdict.BAD_BODY, [RESULT] * 2),
        ([GARBLED, OK], Verdict.OK, [RESULT] * 2),
        ([Reply(202), OK], Verdict.OK, [RESULT] * 2),
        ([Reply(202), Reply(202)], Verdict.NOT_READY, [RESULT] * 2),
        ([ABSENT, Reply(202), OK], Verdict.OK, [RESULT, STATUS, RESULT]),
        ([HTML, HTML, OK], Verdict.OK, [RESULT] * 3),
        ([HTML, HTML, HTML], Verdict.BAD_BODY, [RESULT] * 3),
        ([Reply(204), ABSENT], Verdict.NOT_FOUND, [RESULT, STATUS]),
        ([Reply(204), PROCESSED, OK], Verdict.OK, [RESULT, STATUS, RESULT]),
        ([Reply(204), Reply(204), UNDER_WAY, OK], Verdict.OK, [RESULT, STATUS, STATUS, RESULT]),
        ([Reply(409), FAILED], Verdict.PROCESSING_FAILED, [RESULT, STATUS]),
        ([Reply(409), Reply(409), PROCESSED, OK], Verdict.OK, [RESULT, STATUS, STATUS, RESULT]),
        ([Reply(409)] + [Reply(409)] * 3, Verdict.EXHAUSTED, [RESULT] + [STATUS] * 3),
        ([Reply(413, retry_after_s=5.0), OK], Verdict.OK, [RESULT] * 2),
        ([Reply(302)] * 2, Verdict.REDIRECTED, [RESULT] * 2),
        ([Reply(302), OK], Verdict.OK, [RESULT] * 2),
        ([REJECTED], Verdict.REJECTED, [RESULT]),
        ([Reply(400)] * 2, Verdict.REJECTED, [RESULT] * 2),
        ([FOREIGN_404] * 2 + [FOREIGN_404] * 2, Verdict.REJECTED, [RESULT] * 2 + [STATUS]),
        ([FOREIGN_404] * 2 + [ABSENT], Verdict.NOT_FOUND, [RESULT] * 2 + [STATUS]),
        ([FOREIGN_404, OK], Verdict.OK, [RESULT] * 2),
        ([throttled(), throttled(5.0), OK], Verdict.OK, [RESULT] * 3),
        ([ABSENT, ABSENT], Verdict.NOT_FOUND, [RESULT, STATUS]),
        ([ABSENT, FAILED], Verdict.PROCESSING_FAILED, [RESULT, STATUS]),
        ([ABSENT, PROCESSED, OK], Verdict.OK, [RESULT, STATUS, RESULT]),
        ([ABSENT, PROCESSED, FAULTY, OK], Verdict.OK, [RESULT, STATUS, RESULT, RESULT]),
        ([ABSENT, PROCESSED, ABSENT, ABSENT], Verdict.NOT_FOUND, [RESULT, STATUS, RESULT, RESULT]),
        ([ABSENT, PROCESSED, ABSENT, OK], Verdict.OK, [RESULT, STATUS, RESULT, RESULT]),
        ([ABSENT, PROCESSED, Reply(204), OK], Verdict.OK, [RESULT, STATUS, RESULT, RESULT]),
        ([Reply(410), PROCESSED, Reply(410)], Verdict.NOT_FOUND, [RESULT, STATUS, RESULT]),
        ([ABSENT, AWAITING_FILE, OK], Verdict.OK, [RESULT, STATUS, RESULT]),
        ([ABSENT, UNDER_WAY, OK], Verdict.OK, [RESULT, STATUS, RESULT]),
        ([ABSENT, UNDER_WAY, ABSENT, FAILED], Verdict.PROCESSING_FAILED, [RESULT, STATUS] * 2),
        ([ABSENT, UNDER_WAY, ABSENT, UNDER_WAY], Verdict.NOT_READY, [RESULT, STATUS] * 2),
        ([ABSENT, FAULTY, throttled(), ABSENT], Verdict.NOT_FOUND, [RESULT] + [STATUS] * 3),
        ([ABSENT, HTML, TORN, GARBLED], Verdict.EXHAUSTED, [RESULT] + [STATUS] * 3),
        ([ABSENT, GARBLED, TORN, FAULTY], Verdict.EXHAUSTED, [RESULT] + [STATUS] * 3),
    ],
    ids=lambda value: value.value if isinstance(value, Verdict) else "",
)
@virtually
async def test_every_sequence_of_replies_leads_to_its_verdict(answers, verdict, asked):
    run = await Run(among_others("a"), script={"a": answers}).to_the_end()
    assert run.fetcher.asked("a") == asked
    assert run.tally.verdicts == Counter([verdict, Verdict.OK])
    assert run.verdict("a") is verdict
    part_set = "records" if verdict is Verdict.OK else "failures"
    assert [line for line in run.lines(part_set) if line.startswith(f"a {verdict}")]
    assert len(run.lines("records")) + len(run.lines("failures")) == 2


@virtually
async def test_a_result_that_cannot_be_written_is_a_bad_body():
    run = await Run(entries("a", "b"), reader=PlainReader(unwritable={"a"})).to_the_end()
    assert (run.verdict("a"), run.verdict("b")) == (Verdict.BAD_BODY, Verdict.OK)
    assert run.lines("failures") == ["a bad_body validate 2: nested too deeply"]


@virtually
async def test_without_check_status_a_missing_result_is_not_found_without_a_status_request():
    run = Run(entries("a"), script={"a": [ABSENT]}, rules=policy_settings(check_status=False))
    await run.to_the_end()
    assert run.verdict("a") is Verdict.NOT_FOUND


@virtually
async def test_requests_are_counted_by_their_purpose():
    script = {"a": [FAULTY, OK], "b": [ABSENT, UNDER_WAY, OK], "c": [throttled(), OK]}
    run = await Run(entries("a", "b", "c"), script=script).to_the_end()
    tally = run.tally
    assert (tally.requests, tally.status_requests, tally.retries, tally.throttled) == (7, 1, 3, 1)


@virtually
async def test_reasons_are_counted_by_verdict():
    script = {"a": [own(400)], "b": [own(422)], "c": [own(400)], "d": [GARBLED] * 2}
    run = await Run(among_others(*"abcd"), script=script).to_the_end()
    assert run.tally.reasons == {
        Verdict.REJECTED: {"HTTP 400": 2, "HTTP 422": 1},
        Verdict.BAD_BODY: {"has no participants": 1},
    }


@virtually
async def test_undocumented_fields_are_counted():
    script = {"a": [Reply(200, b"drift: x y")], "b": [Reply(200, b"drift: x")]}
    run = await Run(entries("a", "b"), script=script).to_the_end()
    assert run.tally.drift == {"x": 2, "y": 1}


# --- the API's own words ---


def own(status):
    return Reply(status, b"{}")


def says(status, words, **more):
    return Reply(status, f"says: {words}".encode(), **more)


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([says(400, "No.")], Said(400, "No.")),
        ([own(422)], Said(422)),
        ([FAULTY, says(500, "Broken."), says(502, "Worse.")], Said(502, "Worse.")),
        ([says(500, "Broken."), DROPPED, DROPPED], Said(500)),
        ([DROPPED] * 3, Said()),
        ([GARBLED] * 2, Said(200)),
        ([Reply(200, b"garbled says: Not now.")] * 2, Said(200, "Not now.")),
        ([ABSENT, says(404, "Unknown.")], Said(404, "Unknown.")),
        ([says(404, "Unknown."), Reply(404)], Said(404, "Unknown.")),
        ([says(500, "Broken."), FAULTY, Reply(500)], Said(500)),
        ([ABSENT, FAILED], Said(200, state="failed")),
        ([ABSENT, PROCESSED, ABSENT, says(404, "Gone.")], Said(404, "Gone.", "processed")),
        ([ABSENT, UNDER_WAY, ABSENT, UNDER_WAY], Said(200, state="under_way")),
        ([ABSENT, UNDER_WAY, says(400, "No.")], Said(400, "No.", "under_way")),
        ([ABSENT, HTML, HTML, HTML], Said(200)),
    ],
)
@virtually
async def test_a_failure_lists_the_last_words_of_the_api(answers, said):
    row_writer = PlainRowWriter()
    await Run(among_others("a"), script={"a": answers}, row_writer=row_writer).to_the_end()
    assert row_writer.said == {"a": said}


@virtually
async def test_messages_of_the_api_are_counted_without_the_id_in_them():
    script = {one: [says(400, f"{one} is no call.")] for one in ("id-1", "id-2", "ID-3")}
    run = await Run(entries(*script), script=script).to_the_end()
    assert run.tally.reasons == {Verdict.REJECTED: {"HTTP 400: [id] is no call.": 3}}


@pytest.mark.parametrize("status", [401, 403])
@virtually
async def test_the_message_of_a_refused_token_is_in_the_error(status):
    run = Run(entries("a"), script={"a": [says(status, "It has expired.")]})
    with pytest.raises(TokenRefusedError, match=rf"\(HTTP {status}: It has expired, for a\)"):
        await run.pipeline.run()


@virtually
async def test_the_message_of_an_outage_is_shortened_in_the_state():
    seen = []

    def answer(_call):
        seen.append(run.governor.trouble)
        return says(500, "Down. " * 30) if len(seen) < 3 else OK

    run = Run(entries("a"), script={"a": answer})
    await run.to_the_end()
    assert seen[1].startswith("HTTP 500: Down. Down.")
    assert len(seen[1]) < 100


@pytest.mark.promise(
    "An undocumented state of an interaction",
    "treated as still being processed, and named in the report",
    group="HTTP",
)
@virtually
async def test_an_undocumented_state_is_counted_once_for_an_id():
    archived = Reply(200, b"archived")
    run = Run(entries("a"), script={"a": [ABSENT, archived, ABSENT, archived]})
    await run.to_the_end()
    assert run.verdict("a") is Verdict.NOT_READY
    assert run.tally.drift == {"status: archived": 1}


@pytest.mark.parametrize(
    ("hours", "verdict"), [(1, Verdict.NOT_READY), (13, Verdict.PROCESSING_FAILED)]
)
@virtually
async def test_a_file_that_never_arrived_is_waited_for_only_some_hours(hours, verdict):
    declared_s = VirtualClock().utc().timestamp() - hours * 3_600
    waiting = Reply(200, f"awaiting_file declared: {declared_s}".encode())
    run = await Run(entries("a"), script={"a": [ABSENT, waiting] * 2}).to_the_end()
    assert run.verdict("a") is verdict


# --- waiting ---


@virtually
async def test_a_retry_waits_for_its_backoff():
    run = await Run(entries("a"), script={"a": [FAULTY, FAULTY, OK]}).to_the_end()
    second = LATENCY_S + 0.5
    assert run.fetcher.times("a") == [
        START_S,
        START_S + second,
        START_S + second + LATENCY_S + 1.0,
    ]


@virtually
async def test_a_retry_waits_for_the_retry_after():
    script = {"a": [Reply(500, retry_after_s=7.0), OK]}
    run = await Run(entries("a"), script=script).to_the_end()
    assert run.fetcher.times("a") == [START_S, START_S + LATENCY_S + 7.0]


@virtually
async def test_an_id_under_way_is_not_requested_before_recheck_s():
    run = Run(entries("a"), script={"a": [ABSENT, UNDER_WAY, ABSENT, FAILED]})
    await run.to_the_end()
    assert run.fetcher.times("a")[2] == START_S + 2 * LATENCY_S + RULES.recheck_s


@pytest.mark.parametrize(
    "refusal", [throttled(60.0), *(Reply(status, retry_after_s=60.0) for status in (403, 503))]
)
@virtually
async def test_a_429_pauses_all_requests(refusal):
    run = Run(
        entries(*"abcdefgh"), script={"b": [refusal, OK]}, bounds=pipeline_settings(in_flight=2)
    )
    await run.to_the_end()
    # Two leave at first, two when these come back, before either has been judged.
    left = [time - START_S for time in run.fetcher.times()]
    assert left[:4] == [0.0, 0.0, LATENCY_S, LATENCY_S]
    assert min(left[4:]) == LATENCY_S + 60.0
    assert run.tally.throttled == 1


@virtually
async def test_a_429_costs_no_attempt():
    script = {"a": [throttled(1.0)] * 20 + [FAULTY, OK]}
    run = await Run(entries("a"), script=script, rules=policy_settings(max_attempts=2)).to_the_end()
    assert run.verdict("a") is Verdict.OK
    assert run.tally.throttled == 20


@virtually
async def test_repeated_429s_pause_for_longer_and_longer():
    run = await Run(entries("a"), script={"a": [throttled()] * 3 + [OK]}).to_the_end()
    assert [seconds for seconds, _why in run.limiter.pauses] == [0.75, 1.5, 3.0]


@virtually
async def test_an_outage_of_an_hour_is_waited_for():
    def down(call):
        return FAULTY if call.at < START_S + 3600 else OK

    ids = [f"n{number}" for number in range(50)]
    run = Run(
        entries(*ids), script=dict.fromkeys(ids, down), rules=policy_settings(max_attempts=1_000)
    )
    await run.to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 50}
    assert 3600 < now() < 3700
