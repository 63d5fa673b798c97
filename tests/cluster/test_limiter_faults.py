"""Workers of one account whose database, network or process fails."""

import asyncio
import signal
import sys
from contextlib import asynccontextmanager

import pytest
from support.account import Account, TimedApi, work
from support.account_workers import LATE, HoldingServer, Signing, at_work, client_of, more_than
from support.arrivals import most_within
from support.cut_proxy import CutProxy
from support.waiting import wait_until

pytestmark = pytest.mark.long(10)


@pytest.mark.promise(
    "PostgreSQL is down while requests wait to leave",
    "none leaves without a slot and a tick; they resume when it is back",
    group="Cluster",
)
async def test_requests_stop_while_the_database_is_down_and_resume_afterwards(own_postgres):
    account, api = Account(own_postgres.new_database(), 100.0), TimedApi(latency_s=0.01)
    async with at_work(account, api, count=2) as limiters:
        await wait_until(more_than(api, 20))
        own_postgres.kill()
        await wait_until(lambda: all(limiter.cause for limiter in limiters), "its absence")
        assert all("the database" in limiter.waits_for for limiter in limiters)
        sent = len(api.times)
        own_postgres.start()
        await wait_until(more_than(api, sent + 50))
        await wait_until(lambda: not any(limiter.cause for limiter in limiters))
    assert most_within(sorted(api.times), 1.0) <= 100 + LATE
    assert api.most <= 10


async def test_a_worker_that_is_cut_off_starts_nothing_while_others_use_its_slots(
    database,
):
    account, api = Account(database, 200.0, in_flight=1), TimedApi()
    async with (
        CutProxy(database.port) as proxy,
        at_work(account, api, port=proxy.port) as (silenced,),
    ):
        await wait_until(more_than(api, 3))
        proxy.is_silent = True
        async with at_work(account, api) as (other,):
            await wait_until(lambda: other.slots.usable == 1, "the end of the lease")
            assert silenced.slots.free == 0
            sent = len(api.times)
            await wait_until(more_than(api, sent + 20))
        proxy.is_silent = False
        proxy.cut()
        sent = len(api.times)
        await wait_until(more_than(api, sent + 20), "requests of the one that is back")
    assert api.most == 1


WORKER = """
import asyncio, sys
sys.path[:0] = {path!r}
from support.account import TIMEOUT_S, Account, work
from support.postgres import Database
from support.account_workers import client_of, Signing

async def main():
    account = Account(Database({port}, {name!r}), rate=None)
    async with account.worker() as limiter, client_of(limiter, {url!r}) as client:
        await work(limiter, Signing(client, "other"), lambda: False)

asyncio.run(main())
"""


@asynccontextmanager
async def worker_process(account, server):
    """Yield a worker in a process of its own, that has all slots."""
    program = WORKER.format(
        path=sys.path,
        port=account.database.port,
        name=account.database.name,
        url=server.base_url,
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    try:
        await wait_until(lambda: len(server.arrivals) > 3, "its first requests")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.promise(
    "A worker is frozen for longer than its lease, and wakes up",
    "it sends nothing with the slots that it held before",
    group="Cluster",
)
async def test_a_frozen_worker_that_wakes_up_sends_nothing_while_others_use_its_slots(database):
    account = Account(database, 200.0, in_flight=1)
    async with HoldingServer(hold_s=0.02) as server, worker_process(account, server) as frozen:
        frozen.send_signal(signal.SIGSTOP)
        async with account.worker() as limiter, client_of(limiter, server.base_url) as client:
            enough = False
            mine = asyncio.create_task(work(limiter, Signing(client, "mine"), lambda: enough))
            await wait_until(lambda: limiter.slots.usable == 1, "the end of its lease")
            sent = len(server.arrivals)
            frozen.send_signal(signal.SIGCONT)
            await wait_until(lambda: len(server.arrivals) > sent + 40)
            enough = True
            await mine
    assert server.most == 1


@pytest.mark.promise(
    "A worker is killed with requests in flight",
    "its slots are free when none of its requests can be in flight any more",
    group="Cluster",
)
async def test_the_slots_of_a_killed_worker_are_free_when_its_lease_has_expired(database):
    account = Account(database, 200.0, in_flight=2)
    async with HoldingServer(hold_s=0.02) as server, worker_process(account, server) as other:
        other.kill()
        await other.wait()
        held = account.holders()
        assert held
        async with account.worker() as limiter:
            asked = asyncio.create_task(limiter.acquire(lambda: True))
            await wait_until(lambda: limiter.slots.total, "an answer of the database")
            still_held = {n for n, holder in account.holders().items() if holder in held.values()}
            assert still_held == held.keys()
            await wait_until(lambda: limiter.slots.usable, "the end of the lease")
            assert await asked
