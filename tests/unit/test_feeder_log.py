"""The events of a feeder while its database can't be used."""

import asyncio

from support.virtual import virtually

from cxai.app.waiting import room_with_events
from cxai.cluster.engine import EngineDownError
from cxai.core.events import EventStream


@virtually
async def test_a_feeder_emits_what_it_waits_for_and_when_that_is_over():
    events, seen = EventStream(), []
    events.attach(seen.append)
    failures = [EngineDownError("db/cxai#nightly", "connection refused")] * 3

    async def work():
        if failures:
            raise failures.pop()

    async with room_with_events(600.0, asyncio.Event(), events.emit) as room:
        await room.wait_for(work)
        await asyncio.sleep(10)
    began, ended = seen
    place = "the database db/cxai#nightly"
    assert (began.name, began.level) == ("storage_blocked", "warning")
    assert began.values == {"place": place, "reason": "connection refused"}
    assert (ended.name, ended.values["place"]) == ("storage_back", place)
