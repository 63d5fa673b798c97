"""What a run shows of itself while it waits for a place."""

import asyncio
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from support.virtual import virtually

from cxai.app.run import Run
from cxai.clock import SystemClock
from cxai.core.room import Room
from cxai.errors import BlockedError
from cxai.settings import Settings


@pytest.mark.parametrize(
    ("place", "shown"),
    [("", "export/"), ("the database db/cxai", "the database db/cxai")],
    ids=["where results go", "another place"],
)
@virtually
async def test_what_is_waited_for_is_named_as_what_it_is(place, shown):
    room = Room(SystemClock(), 600.0, asyncio.Event())

    async def work():
        raise BlockedError("It can't be used now.", "no connection", place=place)

    pipeline = MagicMock(room=room)
    run = Run(pipeline, MagicMock(), SimpleNamespace(paused=None, rate=5.0), Settings())
    assert run.sample("export/").blocked is None
    waiting = asyncio.create_task(room.wait_for(work))
    await asyncio.sleep(1)
    blocked = run.sample("export/").blocked
    assert (blocked.place, blocked.cause) == (shown, "no connection")
    waiting.cancel()
