"""The destination of an export, which belongs to it alone: an object there names its owner."""

from collections.abc import Collection

import orjson

from cxai.cluster.books import Books
from cxai.cluster.names import MANIFEST, FinalNames, final_name
from cxai.errors import IntegrityError, UsageError
from cxai.objects.port import ObjectStore, TakenError
from cxai.output.compression import Compression
from cxai.output.contents import LEDGER_NAME

OWNER = "export.json"


async def refuse_taken(store: ObjectStore, sets: Collection[str]) -> None:
    """Raise UsageError if another export has written to a destination; StoreError."""
    for prefix in sets:
        async for listed in store.names(prefix):
            raise _taken(store, f"it holds {listed.name}")
    for name in (OWNER, MANIFEST, LEDGER_NAME):
        if await _holds(store, name):
            raise _taken(store, f"it holds {name}")


async def is_taken(store: ObjectStore) -> bool:
    """Whether a destination belongs to an export. Raises StoreError."""
    return await _holds(store, OWNER)


async def _holds(store: ObjectStore, name: str) -> bool:
    try:
        async for _ in store.read(name):
            return True
    except FileNotFoundError:
        return False
    return True


async def claim_destination(books: Books, store: ObjectStore) -> None:
    """Reserve the destination for this export, for good, unless it has it already.

    Two exports would give different objects the same names, which would show only when they are
    published. Raises UsageError if it belongs to another export; StoreError and EngineDownError,
    and then may be repeated.
    """
    name, identity = await books.identity()
    content = orjson.dumps({"export": name, "id": identity}) + b"\n"
    try:
        await store.put_new(OWNER, content)
    except TakenError:
        raise _taken(store, f"its {OWNER} names it") from None


async def refuse_restored(
    books: Books, store: ObjectStore, sets: Collection[str], compression: Compression
) -> None:
    """Raise IntegrityError if the store has more objects than the log of a restored database.

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


def _taken(store: ObjectStore, why: str) -> UsageError:
    return UsageError(
        f"{store.location} belongs to another export: {why}. Nothing was written. Give this one"
        " another destination: `cxai cluster init … -o`."
    )
