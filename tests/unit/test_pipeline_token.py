"""A refused token stops the run and marks nothing, unless only some IDs are refused."""

import pytest
from support.defaults import pipeline_settings
from support.doubles import (
    ABSENT,
    OK,
    TOKEN_REFUSED,
    Disk,
    MemoryLedger,
    entries,
)
from support.run import Run, now
from support.virtual import virtually

from cxai.errors import TokenRefusedError
from cxai.policy.reply import Reply
from cxai.policy.verdict import Verdict

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
async def test_a_403_for_the_only_id_counts_as_a_refused_token():
    run = Run(entries("a"), script={"a": [Reply(403)]})
    with pytest.raises(TokenRefusedError, match="HTTP 403, for a"):
        await run.pipeline.run()


@pytest.mark.promise(
    "401 or 403 for one ID while other IDs are answered, even if it is the first of a run",
    "another ID's answer shows that the token is good: only the refused ID is `rejected`",
    group="HTTP",
)
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("one", ["a", "c", "f"], ids=["first", "between", "last"])
@virtually
async def test_an_id_that_alone_is_forbidden_is_rejected_and_the_others_are_retrieved(one, status):
    ids = [*"abcdef"]
    script = {each: [OK] * 9 for each in ids} | {one: [Reply(status)] * 9}
    run = await Run(
        entries(*ids), script=script, bounds=pipeline_settings(in_flight=2)
    ).to_the_end()
    assert run.tally.verdicts == {Verdict.OK: 5, Verdict.REJECTED: 1}
    assert run.verdict(one) is Verdict.REJECTED
    assert len(run.fetcher.calls) <= 6 + 1 + 2  # a second look, and a canary for each


@virtually
async def test_an_id_with_a_result_from_an_earlier_run_serves_as_canary():
    ledger = MemoryLedger(Disk({"done": Verdict.OK}))
    script = {"a": [Reply(403)] * 2, "done": [OK] * 2}
    run = await Run(entries("done", "a"), script=script, ledger=ledger).to_the_end()
    assert run.verdict("a") is Verdict.REJECTED


@virtually
async def test_after_a_doubt_about_one_id_no_further_canaries_leave():
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
