"""How the database stores an ID, or a line that holds none: as a key, and a payload if needed.

Keys are short, since each ID has one for ever. The three kinds never collide:
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
"""What the database keeps of an item besides its key, as JSON."""


def item_key(key: bytes | str) -> bytes:
    """Return the key in the database of the entry that has `key`."""
    if isinstance(key, bytes):
        return key
    text = _TEXT + key.encode()
    return text if len(text) != _GUID_BYTES else _TEXT + text


def entry_key(key: bytes) -> bytes | str:
    """Return the key of the entry that has `key` in the database: the inverse of `item_key`."""
    if len(key) == _GUID_BYTES or not key.startswith(_TEXT):
        return key
    return key.lstrip(_TEXT).decode()


def payload_of(entry: Entry) -> Payload | None:
    """Return what can't be derived from an entry's key; None for nearly all of them."""
    payload = {"id": entry.id}
    if (fault := entry.invalid) is not None:
        payload |= {"kind": fault.kind, "detail": fault.detail}
    elif entry.id == _id_of(entry.key):
        return None
    return {name: engine_text(value) for name, value in payload.items()}


def engine_text(value: str) -> str:
    """Return a text as the database can store it: a file name may hold other bytes."""
    return value.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def entry_of(key: bytes, source: str, line: int, payload: Payload | None) -> Entry:
    """Return the entry that is stored as `key` and `payload`."""
    known = payload or {}
    mine = entry_key(key)
    invalid = Fault(known["kind"], known["detail"]) if "kind" in known else None
    return Entry(mine, known["id"] if "id" in known else _id_of(mine), source, line, invalid)


def _id_of(key: bytes | str) -> str:
    """Return the usual spelling of an ID: a GUID in lower case, with hyphens."""
    if isinstance(key, str):
        return key
    return str(UUID(bytes=key)) if len(key) == _GUID_BYTES else ""
