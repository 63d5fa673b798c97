"""The moments that decide: what happens at once happens one after the other, in either order."""

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from random import Random

import psycopg
import pytest
from support.books import FORM, TERMS, all_of, commit, entries_of, lose, silence, state_of
from support.cut_proxy import CutProxy
from support.shifts import Shift, checked
from support.waiting import wait_until

from cxai.cluster.engine_errors import EngineDownError
from cxai.cluster.keys import item_key
from cxai.cluster.schema import init
from cxai.cluster.url import parse_engine_url
from cxai.errors import CxaiError, FencedError, IntegrityError
from cxai.policy.verdict import Verdict

SCHEMAS = "cxai_nightly,cxai"
NOTHING_WRONG = {"twice": 0, "lost": 0, "unsettled": 0, "elsewhere": 0}


@asynccontextmanager
async def held_up(database, table="block"):
    """Hold the rows of a table, so that what needs them waits in the order in which it comes."""
    connection = database.connect(SCHEMAS)
    try:
        connection.execute("BEGIN")
        connection.execute(f"SELECT 1 FROM {table} FOR UPDATE")  # noqa: S608 - our own name
        yield
        connection.execute("COMMIT")
    finally:
        connection.close()


async def until_waiting(database, count):
    """Return when so many statements wait for a lock."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    await wait_until(lambda: database.execute(waiting) == [(count,)], f"{count} waiting")


async def outcome(awaited):
    """Return what comes of it, a result or the kind of its failure."""
    try:
        return await awaited
    except CxaiError as error:
        return type(error)


async def in_turn(*awaited):
    return [await one for one in awaited]


# --- a worker that commits while it is declared gone ---


@pytest.mark.parametrize("first", ["commit", "reaper"])
async def test_concurrent_reaper_and_commit_are_serialized(url, database, open_books, guids, first):
    frozen, other = await open_books(url), await open_books(url)
    await frozen.enqueue(entries_of(guids(50)))
    claimed = await frozen.claim(1)
    silence(database, frozen)
    tries = {"commit": commit(frozen, claimed), "reaper": other.beat("", may_reap=True)}

    async with held_up(database):
        under_way = {}
        for which in sorted(tries, key=lambda name: name != first):
            under_way[which] = asyncio.create_task(outcome(tries[which]))
            await until_waiting(database, len(under_way))
    committed, gone = await under_way["commit"], await under_way["reaper"]

    assert gone == 1
    counts = await other.counts()
    if first == "commit":
        assert (committed, counts.verdicts, counts.queued) == (1, {Verdict.OK: 50}, 0)
    else:
        assert (committed, counts.verdicts, counts.queued) == (FencedError, {}, 1)
    assert counts.leased == 0


@pytest.mark.promise(
    "A worker is declared dead while it commits",
    "one of the two wins, and the other one sees it",
    group="Cluster",
)
async def test_reaper_and_commit_at_any_moment_never_both_have_a_block(
    url, database, open_books, guids
):
    other = await open_books(url)
    chance = Random(3)
    for entries in (entries_of(guids(50, seed=seed)) for seed in range(25)):
        frozen = await open_books(url)
        await other.enqueue(entries)
        claimed = await frozen.claim(1)
        silence(database, frozen)

        later = asyncio.sleep(chance.random() / 500)
        committed, (_, gone) = await asyncio.gather(
            outcome(commit(frozen, claimed)), in_turn(later, other.beat("", may_reap=True))
        )

        left = await other.claim(1)
        assert gone == 1
        assert all_of(left) == ([] if committed is not FencedError else entries)
        if left:
            await commit(other, left)


@pytest.mark.promise(
    "A worker that was declared gone wakes up and commits",
    "the database refuses all of it; it starts over as a new worker",
    group="Cluster",
)
async def test_a_zombie_that_wakes_up_after_others_have_done_its_work_changes_nothing(
    url, database, open_books, guids
):
    zombie, other = await open_books(url), await open_books(url)
    entries = entries_of(guids(50))
    await zombie.enqueue(entries)
    claimed = await zombie.claim(1)
    await commit(zombie, claimed, of=entries[:10])
    await lose(database, zombie, by=other)
    again = await other.claim(1)
    await commit(other, again, of=entries[10:20])
    before = state_of(database)

    for part, finished in ((entries[10:20], False), (entries[20:], True), (entries[:10], False)):
        with pytest.raises(FencedError):
            await commit(zombie, claimed, of=part, finished={1: finished})

    assert state_of(database) == before
    await commit(other, again, of=entries[20:], finished={1: True})
    with pytest.raises(FencedError):
        await commit(zombie, claimed, of=entries[20:], finished={1: True})


async def test_a_claim_that_arrives_after_the_worker_left_takes_nothing(url, open_books, guids):
    leaving, staying = await open_books(url), await open_books(url)
    entries = entries_of(guids(500))
    await staying.enqueue(entries)

    late = [outcome(leaving.claim(1)) for _ in range(5)]
    twin = await open_books(url, register=False)
    twin.worker = leaving.worker  # the same worker, on another connection
    await asyncio.gather(*late, twin.leave())

    assert all_of(await staying.claim(10)) == entries


# --- the same thing twice at once ---


async def test_a_commit_that_is_repeated_while_the_first_one_runs_counts_once(
    url, database, open_books, guids
):
    books, twin = await open_books(url), await open_books(url, register=False)
    twin.worker = books.worker
    await books.enqueue(entries_of(guids(50)))
    claimed = await books.claim(1)

    async with held_up(database):
        both = [asyncio.create_task(commit(one, claimed, pending="p")) for one in (books, twin)]
        await until_waiting(database, 2)

    assert await asyncio.gather(*both) == [1, 1]
    assert (await books.counts()).verdicts == {Verdict.OK: 50}
    assert len(await books.objects(0, 9)) == 1


async def test_twelve_workers_that_judge_concurrently_free_each_block_once(
    url, database, open_books, guids
):
    lost = [await open_books(url) for _ in range(3)]
    judges = [await open_books(url) for _ in range(12)]
    await lost[0].enqueue(entries_of(guids(150)))
    for one in lost:
        await one.claim(1)
    silence(database, *lost)

    found = await asyncio.gather(*(judge.beat("", may_reap=True) for judge in judges))

    assert sum(found) == 3
    claimed = await asyncio.gather(*(judge.claim(1) for judge in judges))
    assert sorted(one.block for some in claimed for one in some) == [1, 2, 3]
    assert {one.losses for some in claimed for one in some} == {1}


async def test_concurrent_feeders_with_the_same_lines_queue_each_id_once(url, open_books, guids):
    feeders = [await open_books(url, register=False) for _ in range(6)]
    entries = entries_of(guids(300))
    orders = [Random(seed).sample(entries, 300) for seed in range(6)]

    taken = await asyncio.gather(
        *(one.enqueue(order) for one, order in zip(feeders, orders, strict=True))
    )

    assert sum(one.fresh for one in taken) == 300
    counts, real = await feeders[0].counts(), await feeders[0].recount()
    assert (counts.lines, counts.duplicates, counts.ids) == (1_800, 1_500, 300)
    assert (real.ids, real.in_blocks) == (300, 300)


async def test_workers_that_start_concurrently_have_different_numbers(url, open_books):
    books = await asyncio.gather(*(open_books(url) for _ in range(12)))
    assert len({one.worker for one in books}) == 12


# --- the engine fails in the middle of a commit ---


async def test_a_commit_during_which_the_database_was_killed_did_not_count(
    own_postgres, open_books, guids
):
    database = own_postgres.new_database()
    url = parse_engine_url(database.url())
    await init(url, FORM, TERMS)
    books = await open_books(url)
    await books.enqueue(entries_of(guids(50)))
    claimed = await books.claim(1)

    with suppress(psycopg.OperationalError):  # what holds it up is killed as well
        async with held_up(database):
            under_way = asyncio.create_task(outcome(commit(books, claimed, pending="p")))
            await until_waiting(database, 1)
            own_postgres.kill()
    assert await under_way is EngineDownError
    own_postgres.start()

    assert await books.committed("p") is None
    assert await commit(books, claimed, pending="p") == 1
    assert (await books.counts()).verdicts == {Verdict.OK: 50}


async def test_a_commit_before_the_database_was_killed_still_counts(
    own_postgres, open_books, guids
):
    database = own_postgres.new_database()
    async with CutProxy(own_postgres.port) as proxy:
        url = parse_engine_url(database.url(port=proxy.port))
        await init(url, FORM, TERMS)
        books = await open_books(url)
        await books.enqueue(entries_of(guids(50)))
        claimed = await books.claim(1)
        proxy.is_silent = True
        under_way = asyncio.create_task(outcome(commit(books, claimed, pending="p")))
        committed = "SELECT 1 FROM cxai_nightly.object"
        await wait_until(lambda: database.execute(committed))
        own_postgres.kill()
        assert await under_way is EngineDownError
        proxy.is_silent = False
        own_postgres.start()

        assert await books.committed("p") == 1
        assert await commit(books, claimed, pending="p") == 1
        assert (await books.counts()).verdicts == {Verdict.OK: 50}


# --- clocks ---


@pytest.mark.promise(
    "The clock of a worker is wrong by years",
    "no effect: all times are the database's",
    group="Cluster",
)
async def test_a_clock_that_is_wrong_by_years_has_no_effect(
    url, database, open_books, guids, monkeypatch
):
    monkeypatch.setattr(time, "time", lambda: 0.0)
    wrong, other = await open_books(url), await open_books(url)
    await wrong.enqueue(entries_of(guids(50)))
    claimed = await wrong.claim(1)
    await wrong.beat("", may_reap=False)

    assert await other.beat("", may_reap=True) == 0
    await commit(wrong, claimed)
    times = (
        "SELECT clock_timestamp() - least(seen, started_at, committed_at) < interval '1 minute'"
        " FROM worker, object"
    )
    assert database.execute(times, search_path=SCHEMAS) == [(True,), (True,)]


# --- all of it at random, and whether it would be noticed ---


@pytest.fixture
async def shift(url, database, open_books, guids):
    """Return a maker of shifts over 1,500 IDs, and the keys of these."""
    entries = entries_of(guids(1_500))
    feeder = await open_books(url, register=False)
    await feeder.enqueue(entries + entries[:100])

    def make(**how):
        return Shift(url, database, Random(11), **how), [item_key(one.key) for one in entries]

    return make


async def test_workers_that_die_and_freeze_at_random_settle_each_id_once(
    url, database, open_books, shift
):
    shift, keys = shift()

    await shift.work()

    assert shift.seen["died"] > 1
    assert shift.seen["ended by fencing"] > 1
    assert checked(database, shift, keys) == NOTHING_WRONG
    books = await open_books(url, register=False)
    counts, real = await books.counts(), await books.recount()
    assert (real.ids, real.verdicts, real.in_blocks) == (1_500, counts.verdicts, 0)


async def test_a_worker_that_ignores_that_it_was_declared_gone_is_refused_by_the_database(
    database, shift
):
    shift, keys = shift(heeds_fencing=False)

    await shift.work()

    assert shift.seen["FencedError"] > 1
    assert checked(database, shift, keys) == NOTHING_WRONG


CHECKS = (
    (" AND owner = me ORDER BY id FOR UPDATE", " ORDER BY id FOR UPDATE"),
    ("IF n <> cardinality(blocks) THEN RAISE 'not its own' USING ERRCODE = 'CX001'; END IF;", ""),
    (" WHERE i.key = o.key AND i.verdict IS NULL ", " WHERE i.key = o.key "),
    (
        "IF n <> cardinality(settled) THEN RAISE 'settled twice' USING ERRCODE = 'CX002'; END IF;",
        "",
    ),
    (
        "IF n <> cardinality(finished) THEN RAISE 'not finished' USING ERRCODE = 'CX002'; END IF;",
        "",
    ),
)


def weaken(database, checks):
    """Take some of its checks out of the commit."""
    ((function,),) = database.execute("SELECT pg_get_functiondef('cxai.commit'::regproc)")
    for check, without in checks:
        assert check in function
        function = function.replace(check, without)
    database.execute(function, search_path=SCHEMAS)


async def test_the_check_would_detect_a_schema_without_checks(database, shift):
    shift, keys = shift(heeds_fencing=False)
    weaken(database, CHECKS)
    database.execute("DROP TRIGGER once ON cxai_nightly.item")

    await shift.work(rounds=10)

    assert checked(database, shift, keys)["twice"] > 1


async def test_without_the_check_of_owners_the_database_still_refuses_a_second_verdict(
    database, shift
):
    shift, keys = shift(heeds_fencing=False)
    weaken(database, CHECKS[:2])

    await shift.work()

    assert shift.seen[IntegrityError.__name__] > 1
    assert checked(database, shift, keys) == NOTHING_WRONG
