"""The destination of an export, which belongs to it alone: an object there names its owner."""

from collections.abc import Collection

import orjson

from cxai.cluster.books import Books
from cxai.cluster.names import MANIFEST
from cxai.errors import UsageError
from cxai.objects.port import ObjectStore, TakenError
from cxai.output.contents import LEDGER_NAME

OWNER = "export.json"


async def refuse_taken(store: ObjectStore, sets: Collection[str]) -> None:
    """Check, before anything is created, that no other export has written to a destination.

    Raises UsageError and StoreError.
    """
    for prefix in sets:
        async for listed in store.names(prefix):
            raise UsageError(_taken(store, f"it holds {listed.name}"))
    for name in (OWNER, MANIFEST, LEDGER_NAME):
        if await _holds(store, name):
            raise UsageError(_taken(store, f"it holds {name}"))


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
        raise UsageError(_taken(store, f"its {OWNER} names it")) from None


def _taken(store: ObjectStore, why: str) -> str:
    return (
        f"{store.location} belongs to another export: {why}. Nothing was written. Give this one"
        " another destination: `cxai cluster init … -o`."
    )
