"""Refuses to go on where the store has more than the log: the database was restored to earlier."""

from collections.abc import Collection

from cxai.cluster.books import Books
from cxai.cluster.names import FinalNames, final_name
from cxai.errors import IntegrityError
from cxai.objects.port import ObjectStore
from cxai.output.compression import Compression


async def refuse_restored(
    books: Books, store: ObjectStore, sets: Collection[str], compression: Compression
) -> None:
    """Raise IntegrityError if objects were published that the log does not have any more.

    IDs whose verdict is lost would be fetched again, and stand in two objects. To be called before
    a worker claims anything; other workers may be at work. Raises StoreError and EngineDownError.
    """
    known = await books.last_object()
    numbered = FinalNames(sets)
    for part_set in sets:
        after = final_name(known, part_set, compression)
        async for listed in store.names(part_set, after):
            number = numbered.number(listed.name)
            if number is None or number <= known:
                continue
            known = await books.last_object()  # others may have committed meanwhile
            if number > known:
                raise IntegrityError(
                    f"{store.location} holds {listed.name}, but the database knows no object above"
                    f" number {known:,}. Was it restored to an earlier point, or has another export"
                    " written there? Nothing was changed. Restore a later state of the database,"
                    " or begin a new export with a destination of its own."
                )
