"""How an ID, or a line that holds none, stands in the engine: its key, and what else it needs.

A key is short, since there is one for each ID, for ever. The three kinds never meet:
16 bytes for a GUID; `=` and the text for any other ID (`==` where that would be 16 bytes);
17 bytes that begin with `!` for a line that holds no ID.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from cxai.core.entry import Entry, Fault

_GUID_BYTES = 16
_TEXT = b"="

Payload = Mapping[str, Any]
"""What the engine keeps of an item beside its key, as JSON."""


def item_key(key: bytes | str) -> bytes:
    """Return the key under which the engine knows the entry that has `key`."""
    if isinstance(key, bytes):
        return key
    text = _TEXT + key.encode()
    return text if len(text) != _GUID_BYTES else _TEXT + text


def entry_key(key: bytes) -> bytes | str:
    """Return the key of the entry that the engine knows as `key`: the inverse of `item_key`."""
    if len(key) == _GUID_BYTES or not key.startswith(_TEXT):
        return key
    return key.lstrip(_TEXT).decode()


def payload_of(entry: Entry) -> Payload | None:
    """Return what the key alone does not say of an entry; None for nearly all of them."""
    if entry.invalid is not None:
        return {"id": entry.id, "kind": entry.invalid.kind, "detail": entry.invalid.detail}
    return None if entry.id == _id_of(entry.key) else {"id": entry.id}


def entry_of(key: bytes, source: str, line: int, payload: Payload | None) -> Entry:
    """Return the entry that stands in the engine as `key` and `payload`."""
    known = payload or {}
    mine = entry_key(key)
    invalid = Fault(known["kind"], known["detail"]) if "kind" in known else None
    return Entry(mine, known["id"] if "id" in known else _id_of(mine), source, line, invalid)


def _id_of(key: bytes | str) -> str:
    """Return how an ID is written if nothing else is said: a GUID in lower case, with hyphens."""
    if isinstance(key, str):
        return key
    return str(UUID(bytes=key)) if len(key) == _GUID_BYTES else ""
