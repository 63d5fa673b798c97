"""Every operation of an export on a store, performed once with a temporary object."""

import hashlib
import uuid
from contextlib import suppress

from cxai.errors import UsageError
from cxai.objects.port import PENDING, ObjectStore, StoreError, StoreRefusedError, TakenError


async def probe(store: ObjectStore) -> None:
    """Write, publish, list, read and delete an object, and leave nothing behind.

    Raises what ObjectStore.check raises.
    """
    first, final = (f"{PENDING}/check-{uuid.uuid4().hex}{end}" for end in ("", "-published"))
    try:
        await _perform(store, first, final)
    except (StoreRefusedError, TakenError, UsageError) as error:
        for name in (first, final):
            with suppress(StoreError):  # it is swept later, like all leftovers
                await store.delete(name)
        raise UsageError(str(error)) from None


async def _perform(store: ObjectStore, first: str, final: str) -> None:
    content = f"{final}\n".encode()
    await store.put_new(first, content)
    try:
        await store.put_new(first, b"other content")
    except TakenError:
        pass
    else:
        raise _unsuitable(store, "overwrites existing objects despite a create-only write")
    await store.publish(first, final, hashlib.sha256(content).digest())
    if await _content(store, final) != content:
        raise _unsuitable(store, "does not return what was written")
    listed = {found.name async for found in store.names(PENDING)}
    if final not in listed or first in listed:
        raise _unsuitable(store, "does not list what was written, or lists what was deleted")
    await store.delete(final)


async def _content(store: ObjectStore, name: str) -> bytes | None:
    try:
        return b"".join([chunk async for chunk in store.read(name)])
    except FileNotFoundError:
        return None


def _unsuitable(store: ObjectStore, what: str) -> UsageError:
    return UsageError(
        f"{store.location} {what}, so an export can't be stored there. Choose another destination."
    )
