"""Refuses a database that was restored to an earlier point: the store has more than its log."""

from collections.abc import Collection

from cxai.cluster.books import Books
from cxai.cluster.names import FinalNames, final_name
from cxai.errors import IntegrityError
from cxai.objects.port import ObjectStore
from cxai.output.compression import Compression


async def refuse_restored(
    books: Books, store: ObjectStore, sets: Collection[str], compression: Compression
) -> None:
    """Raise IntegrityError if published objects are missing in the commit log.

    IDs whose verdict is lost would be fetched again, and be in two objects. To be called before a
    worker claims anything; other workers may be running. Raises StoreError and EngineDownError.
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
                    f"{store.location} holds {listed.name}, but the last object in the database is"
                    f" number {known:,}. Was it restored to an earlier point, or has another export"
                    " written there? Nothing was changed. Restore a later state of the database,"
                    " or begin a new export with another destination."
                )
