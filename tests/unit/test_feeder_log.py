"""What a feeder says while its database can't be used."""

import asyncio

from support.virtual import virtually

from cxai.app.cluster_commands import log_waits
from cxai.clock import SystemClock
from cxai.cluster.engine import EngineDownError
from cxai.core.room import Room
from cxai.observe.logging import LOG
from cxai.observe.redaction import Redaction


@virtually
async def test_a_feeder_says_what_it_waits_for_and_when_that_is_over(capsys):
    LOG.configure(Redaction(), as_json=False)
    room = Room(SystemClock(), 600.0, asyncio.Event())
    failures = [EngineDownError("db/cxai#nightly", "connection refused")] * 3

    async def work():
        if failures:
            raise failures.pop()

    saying = asyncio.create_task(log_waits(room))
    await room.wait_for(work)
    await asyncio.sleep(10)
    saying.cancel()
    began, ended = capsys.readouterr().err.splitlines()
    assert 'event=storage_blocked place="the database db/cxai#nightly"' in began
    assert 'reason="connection refused"' in began
    assert "event=storage_back" in ended
