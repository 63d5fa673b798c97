"""The trial of a place: everything that an export does there, once, with an object of its own."""

import hashlib
import uuid
from contextlib import suppress

from cxai.errors import UsageError
from cxai.objects.port import PENDING, ObjectStore, StoreError, StoreRefusedError, TakenError


async def try_out(store: ObjectStore) -> None:
    """Write, publish, list, read and delete an object. Nothing stays behind.

    Raises UsageError if the place refuses one of these, or overwrites what is there; StoreError if
    it can't be used now.
    """
    first, final = (f"{PENDING}/check-{uuid.uuid4().hex}{end}" for end in ("", "-published"))
    try:
        await _walk(store, first, final)
    except (StoreRefusedError, TakenError, UsageError) as error:
        for name in (first, final):
            with suppress(StoreError):  # it is swept like all that was left behind
                await store.delete(name)
        raise UsageError(str(error)) from None


async def _walk(store: ObjectStore, first: str, final: str) -> None:
    content = f"{final}\n".encode()
    await store.put_new(first, content)
    try:
        await store.put_new(first, b"another content")
    except TakenError:
        pass
    else:
        raise _useless(store, "overwrites objects that are only to be created if there are none")
    await store.publish(first, final, hashlib.sha256(content).digest())
    if await _content(store, final) != content:
        raise _useless(store, "does not give back what was written")
    listed = {found.name async for found in store.names(PENDING)}
    if final not in listed or first in listed:
        raise _useless(store, "does not list what was written, or lists what was deleted")
    await store.delete(final)


async def _content(store: ObjectStore, name: str) -> bytes | None:
    try:
        return b"".join([chunk async for chunk in store.read(name)])
    except FileNotFoundError:
        return None


def _useless(store: ObjectStore, what: str) -> UsageError:
    return UsageError(
        f"{store.location} {what}, so no export can be kept there. Choose another place."
    )
