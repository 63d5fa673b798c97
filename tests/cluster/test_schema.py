"""`cxai cluster init`: what it creates, upgrades and refuses."""

import asyncio
from dataclasses import replace

import pytest
from support.books import FORM, TERMS, commit, entries_of

from cxai.cluster.schema import STEPS, Initialized, Step, init
from cxai.cluster.url import parse_engine_url
from cxai.errors import FencedError, UsageError


@pytest.fixture
def new_url(database):
    return parse_engine_url(database.url())


@pytest.fixture
def next_steps(tmp_path):
    """Return the steps of a version to come."""
    account, export = tmp_path / "account.sql", tmp_path / "export.sql"
    account.write_text("ALTER TABLE worker ADD zone text;")
    export.write_text("ALTER TABLE item ADD priority int; COMMENT ON TABLE item IS 'upgraded';")
    return [*STEPS, Step([account], [export])]


async def test_init_creates_an_export_once(new_url, open_books):
    assert await init(new_url, FORM, TERMS) == Initialized(created=True, upgraded_from=None)
    assert await init(new_url, FORM, TERMS) == Initialized(created=False, upgraded_from=None)
    books = await open_books(new_url)
    assert (await books.form(), await books.terms()) == (FORM, TERMS)


async def test_init_changes_the_terms_and_the_limits_of_the_account(new_url, database, open_books):
    await init(new_url, FORM, TERMS)
    changed = {"rate": 7.5, "in_flight": 3, "flush_s": 60}

    await init(new_url, FORM, changed)

    assert await (await open_books(new_url)).terms() == changed
    assert database.execute("SELECT rate, in_flight FROM cxai.governor") == [(7.5, 3)]


async def test_concurrent_inits_have_the_effect_of_one(new_url, database, open_books):
    urls = [new_url, new_url, parse_engine_url(database.url("weekly"))] * 3

    done = await asyncio.gather(*(init(url, FORM, TERMS) for url in urls))

    assert sum(one.created for one in done) == 2
    for url in urls[1:3]:
        assert (await (await open_books(url)).counts()).ids == 0


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("shape", "tables", "shape 'nested', not 'tables'"),
        ("compression", "gzip", "compression 'zstd', not 'gzip'"),
        ("destination", "/elsewhere", "destination '/shared/export', not '/elsewhere'"),
        ("base_url", "https://b.example", "base url 'https://api.example', not"),
        ("resource", "transcript", "resource 'cx_ai', not 'transcript'"),
        ("schema_version", 3, "schema version 2, not 3"),
    ],
)
async def test_the_form_is_fixed_by_the_first_line(
    new_url, database, open_books, guids, name, value, words
):
    await init(new_url, FORM, TERMS)
    other = FORM | {name: value}
    await init(new_url, other, TERMS)
    await init(new_url, FORM, TERMS)
    books = await open_books(new_url)
    await books.enqueue(entries_of(guids(1)))

    with pytest.raises(UsageError, match=words):
        await init(new_url, other, TERMS | {"rate": 9.0})

    assert (await books.form(), await books.terms()) == (FORM, TERMS)
    assert database.execute("SELECT rate FROM cxai.governor") == [(5.0,)]


async def test_score_ranges_are_compared_by_value(new_url, open_books, guids):
    bands = FORM | {"bands": "x = 1", "bands_digest": "d1", "bands_name": "a.toml"}
    await init(new_url, bands, TERMS)
    await (await open_books(new_url)).enqueue(entries_of(guids(1)))

    await init(new_url, bands | {"bands": "x=1", "bands_name": "b.toml"}, TERMS)

    with pytest.raises(UsageError, match=r"score ranges 'a\.toml', not 'none'"):
        await init(new_url, FORM, TERMS)


async def test_workers_that_have_read_another_form_are_fenced(new_url, open_books, guids):
    await init(new_url, FORM, TERMS)
    early = await open_books(new_url)
    await init(new_url, FORM | {"shape": "tables"}, TERMS)
    await early.enqueue(entries_of(guids(1)))

    with pytest.raises(FencedError):
        await early.claim(1)


async def test_a_worker_that_has_read_another_form_does_not_start(new_url, open_books):
    await init(new_url, FORM, TERMS)
    early = await open_books(new_url, register=False)
    await early.form()
    await init(new_url, FORM | {"shape": "tables"}, TERMS)

    with pytest.raises(UsageError, match="restart the worker"):
        await early.register("a worker")

    assert (await early.form())["shape"] == "tables"
    await early.register("a worker")


# --- versions ---


async def test_init_upgrades_all_exports_and_keeps_their_content(
    new_url, database, open_books, guids, next_steps
):
    weekly = parse_engine_url(database.url("weekly"))
    await init(new_url, FORM, TERMS)
    await init(weekly, FORM, TERMS)
    books = await open_books(weekly)
    entries = entries_of(guids(50))
    await books.enqueue(entries)
    claimed = await books.claim(1)

    done = await init(new_url, FORM, TERMS, steps=next_steps)

    assert done == Initialized(created=False, upgraded_from=1)
    await commit(books, claimed)  # a worker of the version before is not disturbed
    assert database.execute("SELECT count(priority), count(*) FROM cxai_weekly.item") == [(0, 50)]
    assert await init(weekly, FORM, TERMS, steps=next_steps) == Initialized(
        created=False, upgraded_from=None
    )


async def test_a_new_export_in_an_upgraded_database_has_all_steps(new_url, database, next_steps):
    await init(new_url, FORM, TERMS, steps=next_steps)
    await init(parse_engine_url(database.url("weekly")), FORM, TERMS, steps=next_steps)
    ((comment,),) = database.execute("SELECT obj_description('cxai_weekly.item'::regclass)")
    assert comment == "upgraded"


async def test_an_upgrade_that_fails_changes_nothing(new_url, database, open_books, next_steps):
    await init(new_url, FORM, TERMS)
    next_steps[-1].export[0].write_text("ALTER TABLE item ADD priority int; SELECT 1 / 0;")

    with pytest.raises(Exception, match="division by zero"):
        await init(new_url, FORM, TERMS, steps=next_steps)

    assert database.execute("SELECT number FROM cxai.version") == [(1,)]
    await (await open_books(new_url)).counts()


async def test_tables_of_another_version_are_refused(new_url, database, open_books, next_steps):
    await init(new_url, FORM, TERMS, steps=next_steps)
    with pytest.raises(UsageError, match=r"tables of version 2, made by a newer cxai-worker"):
        await init(new_url, FORM, TERMS)
    with pytest.raises(UsageError, match="this version supports up to 1"):
        await open_books(new_url)

    database.execute("UPDATE cxai.version SET number = 0")
    with pytest.raises(UsageError, match=r"tables of version 0.*upgrade them"):
        await open_books(new_url)


# --- databases that can't hold an export ---


async def test_an_export_that_was_not_created_is_named(new_url, open_books):
    with pytest.raises(UsageError, match=r"#nightly has no export .*cxai cluster init"):
        await open_books(new_url)
    await init(replace(new_url, export="weekly"), FORM, TERMS)
    with pytest.raises(UsageError, match=r"#nightly has no export .*cxai cluster init"):
        await open_books(new_url)


async def test_a_read_only_database_is_refused(new_url, database, open_books):
    await init(new_url, FORM, TERMS)
    database.execute(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")

    with pytest.raises(UsageError, match="Name the primary"):
        await init(new_url, FORM, TERMS)
    with pytest.raises(UsageError, match="Name the primary"):
        await open_books(new_url)


async def test_a_user_without_rights_is_refused(database):
    role = f"reader_{database.name}"
    database.execute(f"CREATE ROLE {role} LOGIN")
    try:
        with pytest.raises(UsageError, match="needs rights"):
            await init(parse_engine_url(database.url(user=role)), FORM, TERMS)
    finally:
        database.execute(f"DROP ROLE {role}")


async def test_a_database_that_does_not_sync_is_refused(own_postgres):
    own_postgres.stop()
    with (own_postgres.data / "postgresql.conf").open("a") as conf:
        conf.write("fsync = off\n")
    own_postgres.start()
    url = parse_engine_url(own_postgres.new_database().url())

    with pytest.raises(UsageError, match="fsync = off"):
        await init(url, FORM, TERMS)


async def test_commits_wait_for_the_disk_whatever_a_role_prefers(new_url, database, open_books):
    await init(new_url, FORM, TERMS)
    database.execute(f"ALTER DATABASE {database.name} SET synchronous_commit = off")
    books = await open_books(new_url)
    assert await books._engine.rows("SHOW synchronous_commit") == [("on",)]
