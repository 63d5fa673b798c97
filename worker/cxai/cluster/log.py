"""The commit log, from its first object to its last."""

from collections.abc import AsyncGenerator

from cxai.cluster.books import Books, ObjectRow

_PAGE = 1_000


async def logged_objects(books: Books, up_to: int) -> AsyncGenerator[ObjectRow, None]:
    """Yield the objects of the log with numbers up to `up_to`, in order, a page at a time.

    Raises EngineDown.
    """
    after = 0
    while page := list(await books.objects(after, _PAGE)):
        if len(page) >= _PAGE and page[0].number != (last := page[-1].number):
            # The page may end between two objects of one number: the next one begins with it.
            page = [row for row in page if row.number != last]
        for row in page:
            if row.number > up_to:
                return
            yield row
        after = page[-1].number
