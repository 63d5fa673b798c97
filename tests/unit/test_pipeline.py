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
    TOKEN_REFUSED,
    TORN,
    UNDER_WAY,
    Disk,
    ListSource,
    MemoryLedger,
    PlainReader,
    PlainRecorder,
    entries,
    invalid,
    throttled,
)
from support.run import RULES, Run, now
from support.virtual import START_S, VirtualClock, virtually

from cxai.core.entry import Fault, IdRule, IgnoredLine
from cxai.errors import InputBrokenError, TokenRefusedError, UsageError
from cxai.policy.reply import Endpoint, Reply, Said
from cxai.policy.verdict import Verdict

RESULT, STATUS = Endpoint.RESULT, Endpoint.STATUS


def among_others(*ids):
    """Return these IDs behind one that is answered: else nothing could tell them from an outage."""
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
async def test_each_way_to_a_verdict(answers, verdict, asked):
    run = await Run(among_others("a"), script={"a": answers}).to_the_end()
    assert run.fetcher.asked("a") == asked
    assert run.tally.verdicts == Counter([verdict, Verdict.OK])
    assert run.verdict("a") is verdict
    part_set = "records" if verdict is Verdict.OK else "failures"
    assert [line for line in run.lines(part_set) if line.startswith(f"a {verdict}")]
    assert len(run.lines("records")) + len(run.lines("failures")) == 2


@virtually
async def test_a_result_that_can_not_be_written_is_a_verdict():
    run = await Run(entries("a", "b"), reader=PlainReader(unwritable={"a"})).to_the_end()
    assert (run.verdict("a"), run.verdict("b")) == (Verdict.BAD_BODY, Verdict.OK)
    assert run.lines("failures") == ["a bad_body validate 2: nested too deeply"]


@virtually
async def test_a_missing_result_is_not_asked_for_its_status_unless_wanted():
    run = Run(entries("a"), script={"a": [ABSENT]}, rules=policy_settings(check_status=False))
    await run.to_the_end()
    assert run.verdict("a") is Verdict.NOT_FOUND


@virtually
async def test_requests_are_counted_by_what_they_were_for():
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
async def test_fields_that_the_schema_does_not_know_are_counted():
    script = {"a": [Reply(200, b"drift: x y")], "b": [Reply(200, b"drift: x")]}
    run = await Run(entries("a", "b"), script=script).to_the_end()
    assert run.tally.drift == {"x": 2, "y": 1}


# --- what the API says ---


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
async def test_a_failure_has_what_the_api_said_last(answers, said):
    row_writer = PlainRecorder()
    await Run(among_others("a"), script={"a": answers}, row_writer=row_writer).to_the_end()
    assert row_writer.said == {"a": said}


@virtually
async def test_the_words_of_the_api_are_counted_with_the_reasons_whatever_id_they_name():
    script = {one: [says(400, f"{one} is no call.")] for one in ("id-1", "id-2", "ID-3")}
    run = await Run(entries(*script), script=script).to_the_end()
    assert run.tally.reasons == {Verdict.REJECTED: {"HTTP 400: [id] is no call.": 3}}


@pytest.mark.parametrize("status", [401, 403])
@virtually
async def test_the_words_with_which_a_token_is_refused_end_the_run(status):
    run = Run(entries("a"), script={"a": [says(status, "It has expired.")]})
    with pytest.raises(TokenRefusedError, match=rf"\(HTTP {status}: It has expired, for a\)"):
        await run.pipeline.run()


@virtually
async def test_the_words_of_an_outage_are_in_the_state_line_and_shortened():
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
async def test_a_state_that_nobody_has_documented_is_named_once_for_an_id():
    archived = Reply(200, b"archived")
    run = Run(entries("a"), script={"a": [ABSENT, archived, ABSENT, archived]})
    await run.to_the_end()
    assert run.verdict("a") is Verdict.NOT_READY
    assert run.tally.drift == {"status: archived": 1}


@pytest.mark.parametrize(
    ("hours", "verdict"), [(1, Verdict.NOT_READY), (13, Verdict.PROCESSING_FAILED)]
)
@virtually
async def test_a_file_that_never_arrived_is_waited_for_some_hours_and_not_every_night(
    hours, verdict
):
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
async def test_a_retry_waits_as_long_as_the_api_asks():
    script = {"a": [Reply(500, retry_after_s=7.0), OK]}
    run = await Run(entries("a"), script=script).to_the_end()
    assert run.fetcher.times("a") == [START_S, START_S + LATENCY_S + 7.0]


@virtually
async def test_an_id_under_way_is_left_in_peace_between_two_looks():
    run = Run(entries("a"), script={"a": [ABSENT, UNDER_WAY, ABSENT, FAILED]})
    await run.to_the_end()
    assert run.fetcher.times("a")[2] == START_S + 2 * LATENCY_S + RULES.recheck_s


@pytest.mark.parametrize(
    "refusal", [throttled(60.0), *(Reply(status, retry_after_s=60.0) for status in (403, 503))]
)
@virtually
async def test_a_limit_of_the_api_holds_everyone_back(refusal):
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
async def test_limits_of_the_api_cost_no_attempt():
    script = {"a": [throttled(1.0)] * 20 + [FAULTY, OK]}
    run = await Run(entries("a"), script=script, rules=policy_settings(max_attempts=2)).to_the_end()
    assert run.verdict("a") is Verdict.OK
    assert run.tally.throttled == 20


@virtually
async def test_repeated_limits_of_the_api_pause_longer_and_longer():
    run = await Run(entries("a"), script={"a": [throttled()] * 3 + [OK]}).to_the_end()
    assert [seconds for seconds, _why in run.limiter.pauses] == [0.75, 1.5, 3.0]


@virtually
async def test_an_hour_of_outage_is_sat_out():
    def down(call):
        return FAULTY if call.at < START_S + 3600 else OK

    ids = [f"n{number}" for number in range(50)]
    run = Run(
        entries(*ids), script=dict.fromkeys(ids, down), rules=policy_settings(max_attempts=1_000)
    )
    await run.to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 50}
    assert 3600 < now() < 3700


# --- a refused token ---

OK_THEN_REFUSED = [OK, TOKEN_REFUSED, TOKEN_REFUSED]


@virtually
async def test_a_refused_token_ends_the_run_and_marks_nothing():
    run = Run(
        entries("fine", "refused", "slow", "never"),
        script={"fine": OK_THEN_REFUSED, "refused": [TOKEN_REFUSED], "never": []},
        latency_s=lambda call: {"fine": 1.0, "refused": 2.0, "slow": 30.0}[call.id],
        bounds=pipeline_settings(in_flight=3, batch_s=60.0),
        backlog=3,
    )
    with pytest.raises(TokenRefusedError, match="HTTP 401"):
        await run.pipeline.run()
    assert now() == 2.0 + 1.0 + 1.0 + 1.0  # two looks with an ID that was answered, a second apart
    assert run.ledger.disk.verdicts == {"fine": Verdict.OK}
    assert run.fetcher.abandoned == ["slow"]
    assert (run.tally.open, run.tally.adds_up) == (3, True)


@pytest.mark.parametrize("status", [401, 403])
@virtually
async def test_a_token_that_is_refused_from_the_start_ends_the_run_and_marks_nothing(status):
    ids = [f"n{number}" for number in range(30)]
    run = Run(entries(*ids), script=dict.fromkeys(ids, [Reply(status)] * 9))
    with pytest.raises(TokenRefusedError, match=f"HTTP {status}, for n"):
        await run.pipeline.run()
    assert run.ledger.disk.verdicts == {}
    assert len(run.fetcher.calls) <= 2 * 10 + 2  # what had left meanwhile, and two looks
    assert now() < 3.0


@virtually
async def test_an_only_id_can_not_tell_a_refused_token_from_its_own_trouble():
    run = Run(entries("a"), script={"a": [Reply(403)]})
    with pytest.raises(TokenRefusedError, match="HTTP 403, for a"):
        await run.pipeline.run()


@pytest.mark.promise(
    "403 (or 401) for one ID, while the token is good for others: also for the first of a run",
    "an ID that is answered shows that the token is good; then the other is `rejected`, alone",
    group="HTTP",
)
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("one", ["a", "c", "f"], ids=["first", "between", "last"])
@virtually
async def test_an_id_that_is_forbidden_alone_is_rejected_and_the_others_go_on(one, status):
    ids = [*"abcdef"]
    script = {each: [OK] * 9 for each in ids} | {one: [Reply(status)] * 9}
    run = await Run(
        entries(*ids), script=script, bounds=pipeline_settings(in_flight=2)
    ).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 5, Verdict.REJECTED: 1}
    assert run.verdict(one) is Verdict.REJECTED
    assert len(run.fetcher.calls) <= 6 + 1 + 2  # a second look, and a canary for each


@virtually
async def test_an_id_that_an_earlier_run_has_a_result_of_can_tell_as_well():
    ledger = MemoryLedger(Disk({"done": Verdict.OK}))
    script = {"a": [Reply(403)] * 2, "done": [OK] * 2}
    run = await Run(entries("done", "a"), script=script, ledger=ledger).to_the_end()
    assert run.verdict("a") is Verdict.REJECTED


@virtually
async def test_a_doubt_that_is_settled_costs_no_further_requests():
    ids = [f"n{number}" for number in range(60)]
    script = {"n5": [Reply(403)] * 9} | {one: [OK] * 9 for one in ids if one != "n5"}
    run = Run(entries(*ids), script=script, latency_s=10.0, bounds=pipeline_settings(in_flight=1))
    await run.to_the_end()
    assert now() > 600.0
    assert len(run.fetcher.asked("n5")) == 2
    canaries = len(run.fetcher.calls) - len(ids) - 1
    assert canaries == 2  # one for each look


@virtually
async def test_replies_that_came_with_the_refusal_are_kept():
    script = {"b": [TOKEN_REFUSED], **dict.fromkeys("acd", OK_THEN_REFUSED)}
    run = Run(entries(*"abcd"), script=script, bounds=pipeline_settings(in_flight=4))
    with pytest.raises(TokenRefusedError):
        await run.pipeline.run()
    assert run.tally.verdicts == {Verdict.OK: 3}
    assert run.verdict("b") is None


@virtually
async def test_a_token_that_is_refused_for_a_status_ends_the_run_as_well():
    run = Run(entries("a"), script={"a": [ABSENT, *[TOKEN_REFUSED] * 3]})
    with pytest.raises(TokenRefusedError):
        await run.pipeline.run()
    assert run.verdict("a") is None


# --- the input ---


@virtually
async def test_a_line_that_is_no_id_has_its_verdict_without_a_request():
    run = await Run([*invalid("x y", "../z"), *entries("a")]).to_the_end()
    assert run.fetcher.calls[0].id == "a"
    assert (len(run.fetcher.calls), run.tally.invalid, run.tally.ids) == (1, 2, 1)
    assert run.lines("failures") == [
        "x y invalid_id input 0: is not a GUID",
        "../z invalid_id input 0: is not a GUID",
    ]


@virtually
async def test_lines_that_are_wrong_in_the_same_way_are_counted_together():
    faults = Fault("is not a GUID", "31 hex digits"), Fault("is not a GUID", "'x' at position 3")
    odd = [IdRule().refused(b"odd", "ids.txt", line, fault) for line, fault in enumerate(faults, 1)]
    run = await Run(odd).to_the_end()
    assert run.tally.reasons == {Verdict.INVALID_ID: {"is not a GUID": 2}}
    assert run.lines("failures") == [
        "odd invalid_id input 0: is not a GUID: 31 hex digits",
        "odd invalid_id input 0: is not a GUID: 'x' at position 3",
    ]


@virtually
async def test_each_distinct_id_is_asked_once():
    run = await Run(entries(*"abab"), entries(*"bcc"), invalid("?", "?")).to_the_end()
    assert sorted(call.id for call in run.fetcher.calls) == ["a", "b", "c"]
    assert (run.tally.ids, run.tally.duplicates, run.tally.invalid) == (3, 5, 1)


@virtually
async def test_what_an_earlier_run_has_settled_is_not_asked_again():
    (odd,) = invalid("?")
    verdicts = {"a": Verdict.OK, "b": Verdict.NOT_FOUND, "c": Verdict.EXHAUSTED}
    disk = Disk({**verdicts, odd.key: Verdict.INVALID_ID})
    run = await Run([*entries(*"abcd"), odd], ledger=MemoryLedger(disk)).to_the_end()
    assert [call.id for call in run.fetcher.calls] == ["c", "d"]
    assert run.tally.settled_before == 2
    assert (run.tally.settled_now, run.tally.invalid) == (2, 1)


@virtually
async def test_lines_that_ask_for_nothing_are_counted():
    run = await Run(
        [IgnoredLine.COMMENT, *entries("a"), IgnoredLine.BLANK, IgnoredLine.BLANK]
    ).to_the_end()
    assert (run.tally.lines, run.tally.comments, run.tally.blanks) == (4, 1, 2)


@pytest.mark.parametrize(
    "blocks", [[], [[]], [[IgnoredLine.BLANK]]], ids=["none", "empty", "blank"]
)
@virtually
async def test_an_input_without_ids_ends_at_once(blocks):
    run = await Run(*blocks).to_the_end()
    assert now() == 0.0
    assert run.fetcher.calls == []
    assert run.pipeline.input_ended


@virtually
async def test_an_input_of_invalid_lines_alone_ends_when_they_are_listed():
    run = await Run(invalid("?", "!")).to_the_end()
    assert len(run.ledger.commits[0]) == 2


@virtually
async def test_an_input_that_breaks_is_told_after_what_was_read_has_its_verdict():
    broken = InputBrokenError("ids.txt ends in the middle.")
    ids = [f"n{number}" for number in range(40)]
    run = Run(
        source=ListSource([entries(*ids)], breaks=broken),
        script={"n7": [FAULTY, FAULTY, OK], "n8": [ABSENT, UNDER_WAY, OK]},
        bounds=pipeline_settings(in_flight=2),
    )
    with pytest.raises(InputBrokenError) as raised:
        await run.pipeline.run()
    assert raised.value is broken
    assert run.tally.verdicts == {Verdict.OK: 40}


@virtually
async def test_an_input_that_breaks_after_all_is_settled_ends_the_run():
    run = Run(source=ListSource([[IgnoredLine.BLANK]], breaks=InputBrokenError("gone")))
    with pytest.raises(InputBrokenError):
        await run.pipeline.run()
    assert run.tally.lines == 1


@virtually
async def test_a_stop_is_told_rather_than_a_broken_input():
    run = Run(
        source=ListSource([entries("a", "b")], breaks=InputBrokenError("gone")),
        script={"a": OK_THEN_REFUSED, "b": [TOKEN_REFUSED]},
    )
    with pytest.raises(TokenRefusedError):
        await run.pipeline.run()
    assert run.verdict("a") is Verdict.OK


@virtually
async def test_an_input_that_can_not_be_used_ends_the_run_at_once():
    run = Run(source=ListSource([entries("a")], breaks=UsageError("no such column")))
    with pytest.raises(UsageError, match="no such column"):
        await run.pipeline.run()
    assert now() == 0.0


@virtually
async def test_a_fault_of_ours_ends_the_run_and_is_not_hidden():
    run = Run(entries("a", "b"), script={"a": []})
    with pytest.RaisesGroup(pytest.RaisesExc(AssertionError, match="a was asked once more")):
        await run.pipeline.run()
