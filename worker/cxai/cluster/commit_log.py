"""The commit log, from its first object to its last."""

from collections.abc import AsyncGenerator

from cxai.cluster.books import Books
from cxai.cluster.rows import ObjectRow

_PAGE = 1_000
"""Numbers that are read at a time; each has one object for each set."""


async def logged_objects(books: Books, up_to: int) -> AsyncGenerator[ObjectRow, None]:
    """Yield the objects of the log with numbers up to `up_to`, in order, a page at a time.

    Raises EngineDownError.
    """
    after = 0
    while page := await books.objects(after, _PAGE):
        for row in page:
            if row.number > up_to:
                return
            yield row
        after = page[-1].number
