"""A place for objects belongs to one export."""

import pytest
from support.books import FORM, TERMS
from support.memory_objects import MemoryObjects

from cxai.cluster.destination import OWNER, claim_destination
from cxai.cluster.schema import init
from cxai.cluster.url import parse_engine_url
from cxai.errors import UsageError


@pytest.fixture
def store():
    return MemoryObjects()


async def test_an_export_may_claim_its_destination_repeatedly(url, open_books, store):
    for _ in range(2):
        await claim_destination(await open_books(url), store)
    assert list(store.objects) == [OWNER]


@pytest.mark.promise(
    "Two exports are given the same destination",
    "the second one is refused: code 2",
    group="Cluster",
)
@pytest.mark.parametrize("name", ["nightly", "history"], ids=["elsewhere", "in one database"])
async def test_the_destination_of_another_export_is_refused(
    url, open_books, store, database, postgres, name
):
    await claim_destination(await open_books(url), store)
    there = store.objects[OWNER]
    elsewhere = postgres.new_database() if name == "nightly" else database
    try:
        other = parse_engine_url(elsewhere.url(name))
        await init(other, FORM, TERMS)
        books = await open_books(other)
        with pytest.raises(UsageError, match="belongs to another export"):
            await claim_destination(books, store)
        await books.close()
    finally:
        if elsewhere is not database:
            postgres.drop(elsewhere)
    assert store.objects == {OWNER: there}


async def test_a_restored_database_keeps_its_destination(url, open_books, store, database):
    books = await open_books(url)
    await claim_destination(books, store)
    database.execute("UPDATE cxai_nightly.export SET form = form, last_object = 0")
    await claim_destination(books, store)
