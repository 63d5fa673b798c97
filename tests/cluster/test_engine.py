"""Trouble with the engine and the way to it: named, bounded, and over when it is over."""

import asyncio
import time
from dataclasses import replace

import pytest
from support.books import FORM, TERMS, commit, entries_of
from support.cut_proxy import CutProxy
from support.waiting import wait_until

from cxai.cluster.books import Books
from cxai.cluster.engine import Engine
from cxai.cluster.engine_errors import EngineDownError
from cxai.cluster.schema import init
from cxai.cluster.url import PASSWORD_FILE_VARIABLE, parse_engine_url
from cxai.errors import UsageError

SECRET = "s3cret-word"  # noqa: S105 - to be looked for


@pytest.fixture
async def proxy(postgres):
    async with CutProxy(postgres.port) as proxy:
        yield proxy


@pytest.fixture
async def by_proxy(url, proxy):
    """Return the URL of the export by way of the proxy."""
    return replace(url, place={**url.place, "port": str(proxy.port)})


async def test_a_connection_that_was_cut_is_opened_again(by_proxy, proxy, open_books, guids):
    books = await open_books(by_proxy)
    await books.enqueue(entries_of(guids(1)))
    proxy.cut()

    with pytest.raises(EngineDownError):
        await books.counts()

    assert (await books.counts()).ids == 1


@pytest.mark.promise(
    "The network drops the answer to a commit",
    "the commit log shows whether it counts; nothing is done twice",
    group="Cluster",
)
async def test_a_commit_that_counts_although_its_answer_was_lost_is_found(
    by_proxy, proxy, database, open_books, guids
):
    books = await open_books(by_proxy)
    entries = entries_of(guids(50))
    await books.enqueue(entries)
    claimed = await books.claim(1)

    proxy.is_silent = True
    sent = asyncio.create_task(commit(books, claimed, pending="p"))
    committed = "SELECT 1 FROM cxai_nightly.export WHERE last_object > 0"
    await wait_until(lambda: database.execute(committed))
    proxy.cut()
    with pytest.raises(EngineDownError):
        await sent
    proxy.is_silent = False

    assert await books.committed("p") == 1
    assert await commit(books, claimed, pending="p") == 1
    assert (await books.counts()).verdicts == {"ok": 50}
    assert await books.claim(1) == []


async def test_a_database_that_does_not_answer_is_down_within_the_given_time(by_proxy, proxy):
    engine = Engine(by_proxy, purpose="test", answer_s=0.3)
    await engine.rows("SELECT 1")
    proxy.is_silent = True
    begun = time.monotonic()

    with pytest.raises(EngineDownError, match="no answer in time") as caught:
        await engine.rows("SELECT 1")

    assert 0.3 <= time.monotonic() - begun < 3
    assert caught.value.cause == "no answer in time"
    proxy.is_silent = False
    assert await engine.rows("SELECT 1") == [(1,)]
    await engine.close()


async def test_the_answer_of_a_cancelled_statement_is_not_that_of_the_next_one(url, database):
    engine = Engine(url, purpose="test")
    waiting = asyncio.create_task(engine.rows("SELECT 1, pg_sleep(60)"))
    sleeps = (
        "SELECT 1 FROM pg_stat_activity"
        " WHERE wait_event = 'PgSleep' AND datname = current_database()"
    )
    await wait_until(lambda: database.execute(sleeps))
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert await engine.rows("SELECT 2") == [(2,)]
    await engine.close()


async def test_statements_of_one_connection_wait_for_each_other(url):
    engine = Engine(url, purpose="test")
    rows = await asyncio.gather(*(engine.rows("SELECT %s::int", (n,)) for n in range(20)))
    assert rows == [[(n,)] for n in range(20)]
    await engine.close()


async def test_a_killed_database_is_down_and_then_back(own_postgres, open_books, guids):
    url = parse_engine_url(own_postgres.new_database().url())
    await init(url, FORM, TERMS)
    books = await open_books(url)
    await books.enqueue(entries_of(guids(50)))
    claimed = await books.claim(1)

    own_postgres.kill()
    for _again in range(2):
        with pytest.raises(EngineDownError) as caught:
            await commit(books, claimed, pending="p")
        assert str(url) in str(caught.value)
    assert "onnection refused" in caught.value.cause
    own_postgres.start()

    assert await books.committed("p") is None
    assert await commit(books, claimed, pending="p") == 1


async def test_a_hanging_database_is_down_within_the_time_of_a_heartbeat(own_postgres, open_books):
    url = parse_engine_url(own_postgres.new_database().url())
    await init(url, FORM, TERMS)
    books = await open_books(url, worker_ttl_s=0.6)
    await books.beat("", may_reap=False)

    with own_postgres.frozen(), pytest.raises(EngineDownError, match="no answer in time"):
        await books.beat("", may_reap=False)

    await books.beat("", may_reap=False)


# --- ways to log in ---


@pytest.fixture
def guarded(own_postgres):
    """Return the URL of a database that wants a password."""
    database = own_postgres.new_database()
    database.execute(f"CREATE ROLE guarded LOGIN SUPERUSER PASSWORD '{SECRET}'")
    hba = own_postgres.data / "pg_hba.conf"
    hba.write_text("host all guarded all scram-sha-256\n" + hba.read_text())
    database.execute("SELECT pg_reload_conf()")
    return parse_engine_url(database.url(user="guarded"))


async def test_a_password_comes_from_a_file_or_the_usual_places(guarded, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=f"{PASSWORD_FILE_VARIABLE}, or use a password file"):
        await init(guarded, FORM, TERMS)

    monkeypatch.setenv("PGPASSWORD", SECRET)
    await init(guarded, FORM, TERMS)
    monkeypatch.delenv("PGPASSWORD")

    place = guarded.place
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"{place['host']}:{place['port']}:*:guarded:{SECRET}\n")
    passfile.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    await init(guarded, FORM, TERMS)
    monkeypatch.delenv("PGPASSFILE")

    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    monkeypatch.setenv(PASSWORD_FILE_VARIABLE, str(file))
    books = Books(guarded)
    await books.open()

    file.write_text("another")
    await books.close()
    with pytest.raises(EngineDownError, match="password authentication failed") as caught:
        await books.counts()
    assert SECRET not in str(caught.value)
    file.write_text(SECRET)  # now it is right again, and the worker goes on
    assert (await books.counts()).ids == 0
    await books.close()


async def test_a_password_that_is_wrong_is_shown_nowhere(guarded, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", f"not-{SECRET}")
    engine = Engine(guarded, purpose="test")

    with pytest.raises(UsageError, match="password authentication failed") as caught:
        await engine.rows("SELECT 1")

    shown = (caught.value, guarded, engine, caught.value.__cause__, vars(engine))
    assert SECRET not in "".join(f"{one!r} {one}" for one in shown)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dbname": "nowhere"}, 'database "nowhere" does not exist'),
        ({"user": "stranger"}, 'role "stranger" does not exist'),
        ({"sslmode": "require"}, "server does not support SSL"),
        ({"host": "nowhere.invalid"}, "can't be used"),
    ],
)
async def test_wrong_connection_parameters_are_refused(database, change, words):
    url = parse_engine_url(database.url())
    url = replace(url, place={**url.place, **change})
    with pytest.raises(UsageError, match=words):
        await init(url, FORM, TERMS)


async def test_a_refused_connection_may_succeed_later(database, proxy):
    await proxy.__aexit__()
    url = parse_engine_url(database.url(port=proxy.port))
    with pytest.raises(EngineDownError, match="onnection refused"):
        await Engine(url, purpose="test").rows("SELECT 1")
