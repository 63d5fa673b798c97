"""The place of an export belongs to it alone: an object there says whose it is."""

import orjson

from cxai.cluster.books import Books
from cxai.errors import UsageError
from cxai.objects.port import ObjectStore, TakenError

OWNER = "export.json"


async def claim_place(books: Books, store: ObjectStore) -> None:
    """Make the place that of this export, for good, unless it is so already.

    Two exports would give different objects the same names, which comes to light only when they
    are published. Raises UsageError if the place is another export's; StoreError and
    EngineDownError, and may be repeated.
    """
    name, identity = await books.identity()
    content = orjson.dumps({"export": name, "id": identity}) + b"\n"
    try:
        await store.put_new(OWNER, content)
    except TakenError:
        raise UsageError(
            f"{store.location} belongs to another export, as {OWNER} there says. Nothing was"
            " written. Give this one a destination of its own, with `cxai cluster init … -o`."
        ) from None
