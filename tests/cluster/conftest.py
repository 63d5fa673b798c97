"""What the cluster's tests share: an export in a real database, or workers on doubles."""

from contextlib import AsyncExitStack

import pytest
from support.books import FORM, TERMS
from support.cluster import memory_worker
from support.memory_books import Engine
from support.memory_objects import MemoryObjects

from cxai.cluster.books import Books
from cxai.cluster.schema import init
from cxai.cluster.url import parse_engine_url


@pytest.fixture
async def open_books():
    """Return a maker of books, by URL; all are closed at the end."""
    async with AsyncExitStack() as stack:

        async def make(url, *, register=True, **how):
            books = Books(parse_engine_url(url) if isinstance(url, str) else url)
            stack.push_async_callback(books.close)
            await books.open()
            if register:
                await books.register("a worker", **how)
            return books

        yield make


@pytest.fixture
async def url(database):
    """Return the URL of a new export."""
    url = parse_engine_url(database.url())
    await init(url, FORM, TERMS)
    return url


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def store():
    return MemoryObjects()


@pytest.fixture
def start(engine, store):
    """Return what starts a registered worker."""

    async def worker(name="w", **how):
        return await memory_worker(engine, store, name, **how)

    return worker
