"""What the pipeline does with its input: invalid lines, duplicates, an input that breaks off."""

import pytest
from support.defaults import pipeline_settings
from support.doubles import (
    ABSENT,
    FAULTY,
    OK,
    TOKEN_REFUSED,
    UNDER_WAY,
    Disk,
    ListSource,
    MemoryLedger,
    entries,
    invalid,
)
from support.run import Run, now
from support.virtual import virtually

from cxai.core.entry import Fault, IdRule, IgnoredLine
from cxai.errors import InputBrokenError, TokenRefusedError, UsageError
from cxai.policy.verdict import Verdict


@virtually
async def test_an_invalid_line_has_its_verdict_without_a_request():
    run = await Run([*invalid("x y", "../z"), *entries("a")]).to_the_end()
    assert run.fetcher.calls[0].id == "a"
    assert (len(run.fetcher.calls), run.tally.invalid, run.tally.ids) == (1, 2, 1)
    assert run.lines("failures") == [
        "x y invalid_id input 0: is not a GUID",
        "../z invalid_id input 0: is not a GUID",
    ]


@virtually
async def test_lines_with_the_same_fault_are_counted_together():
    faults = Fault("is not a GUID", "31 hex digits"), Fault("is not a GUID", "'x' at position 3")
    odd = [IdRule().refused(b"odd", "ids.txt", line, fault) for line, fault in enumerate(faults, 1)]
    run = await Run(odd).to_the_end()
    assert run.tally.reasons == {Verdict.INVALID_ID: {"is not a GUID": 2}}
    assert run.lines("failures") == [
        "odd invalid_id input 0: is not a GUID: 31 hex digits",
        "odd invalid_id input 0: is not a GUID: 'x' at position 3",
    ]


@virtually
async def test_each_distinct_id_is_requested_once():
    run = await Run(entries(*"abab"), entries(*"bcc"), invalid("?", "?")).to_the_end()
    assert sorted(call.id for call in run.fetcher.calls) == ["a", "b", "c"]
    assert (run.tally.ids, run.tally.duplicates, run.tally.invalid) == (3, 5, 1)


@virtually
async def test_what_an_earlier_run_settled_is_not_requested_again():
    (odd,) = invalid("?")
    verdicts = {"a": Verdict.OK, "b": Verdict.NOT_FOUND, "c": Verdict.EXHAUSTED}
    disk = Disk({**verdicts, odd.key: Verdict.INVALID_ID})
    run = await Run([*entries(*"abcd"), odd], ledger=MemoryLedger(disk)).to_the_end()
    assert [call.id for call in run.fetcher.calls] == ["c", "d"]
    assert run.tally.settled_before == 2
    assert (run.tally.settled_now, run.tally.invalid) == (2, 1)


@virtually
async def test_ignored_lines_are_counted():
    run = await Run(
        [IgnoredLine.COMMENT, *entries("a"), IgnoredLine.BLANK, IgnoredLine.BLANK]
    ).to_the_end()
    assert (run.tally.lines, run.tally.comments, run.tally.blanks) == (4, 1, 2)


@pytest.mark.parametrize(
    "blocks", [[], [[]], [[IgnoredLine.BLANK]]], ids=["none", "empty", "blank"]
)
@virtually
async def test_an_input_without_ids_ends_immediately(blocks):
    run = await Run(*blocks).to_the_end()
    assert now() == 0.0
    assert run.fetcher.calls == []
    assert run.pipeline.input_ended


@virtually
async def test_an_input_of_invalid_lines_alone_ends_when_they_are_listed():
    run = await Run(invalid("?", "!")).to_the_end()
    assert len(run.ledger.commits[0]) == 2


@virtually
async def test_a_broken_input_is_raised_once_what_was_read_has_its_verdict():
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
async def test_a_stop_is_raised_rather_than_a_broken_input():
    run = Run(
        source=ListSource([entries("a", "b")], breaks=InputBrokenError("gone")),
        script={"a": [OK, TOKEN_REFUSED, TOKEN_REFUSED], "b": [TOKEN_REFUSED]},
    )
    with pytest.raises(TokenRefusedError):
        await run.pipeline.run()
    assert run.verdict("a") is Verdict.OK


@virtually
async def test_an_unusable_input_ends_the_run_immediately():
    run = Run(source=ListSource([entries("a")], breaks=UsageError("no such column")))
    with pytest.raises(UsageError, match="no such column"):
        await run.pipeline.run()
    assert now() == 0.0


@virtually
async def test_an_internal_error_ends_the_run_and_is_raised():
    run = Run(entries("a", "b"), script={"a": []})
    with pytest.RaisesGroup(pytest.RaisesExc(AssertionError, match="a was requested again")):
        await run.pipeline.run()
