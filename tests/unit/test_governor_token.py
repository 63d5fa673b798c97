"""A refused token stops a run, unless there is another or only some IDs are refused."""

import asyncio

import pytest
from support.doubles import (
    OK,
    TOKEN_REFUSED,
    ListSource,
    entries,
    throttled,
)
from support.governed import BROKEN, MINUTE_S, Api, during, governed, many
from support.run import Run
from support.virtual import START_S, at, virtually

from cxai.errors import TokenRefusedError
from cxai.policy.reply import Reply
from cxai.policy.verdict import Verdict

# --- the token ---


@virtually
async def test_a_run_continues_with_a_renewed_token_and_loses_nothing():
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
    assert len(api.refused) > 1  # those in flight at the renewal, which trigger no other
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
async def test_a_first_id_for_which_the_token_is_refused_waits_for_another_ids_answer():
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
async def test_a_request_that_waits_in_a_pause_does_not_leave_once_the_token_is_refused():
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
