"""What a feeder logs while its database can't be used."""

import asyncio

from support.virtual import virtually

from cxai.app.waiting import logged_room
from cxai.cluster.engine import EngineDownError
from cxai.observe.logging import LOG
from cxai.observe.redaction import Redaction


@virtually
async def test_a_feeder_logs_what_it_waits_for_and_when_that_is_over(capsys):
    LOG.configure(Redaction(), as_json=False)
    failures = [EngineDownError("db/cxai#nightly", "connection refused")] * 3

    async def work():
        if failures:
            raise failures.pop()

    async with logged_room(600.0, asyncio.Event()) as room:
        await room.wait_for(work)
        await asyncio.sleep(10)
    began, ended = capsys.readouterr().err.splitlines()
    assert 'event=storage_blocked place="the database db/cxai#nightly"' in began
    assert 'reason="connection refused"' in began
    assert "event=storage_back" in ended
