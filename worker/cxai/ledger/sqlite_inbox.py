"""Entries as rows of the inbox, and back: what comes out is what went in."""

import uuid
from collections.abc import Sequence
from typing import Any

from cxai.core.entry import Entry, Fault
from cxai.ledger.port import Key


def row_of_entry(entry: Entry) -> tuple[Any, ...]:
    """Return the row of an entry, without its position."""
    fault = entry.invalid
    reason = (None, None) if fault is None else (fault.kind, fault.detail)
    return entry.key, entry.id, text_as_bytes(entry.source), entry.line, *reason


def entry_of(row: Sequence[Any]) -> Entry:
    """Return the entry that such a row stands for."""
    key, interaction_id, source, line, kind, detail = row
    fault = None if kind is None else Fault(kind, detail)
    name = source.decode("utf-8", "surrogatepass")
    return Entry(key, _id_of(key) if interaction_id is None else interaction_id, name, line, fault)


def text_as_bytes(text: str) -> bytes:
    """Return a text that may be no Unicode, as the name of a file may be."""
    return text.encode("utf-8", "surrogatepass")


def _id_of(key: Key) -> str:
    return str(uuid.UUID(bytes=key)) if isinstance(key, bytes) else key
