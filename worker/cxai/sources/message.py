"""A message of a queue: a bare ID, or a JSON object with the ID in one of its fields."""

from collections.abc import Sequence

import orjson

from cxai.core.entry import Entry, Fault, IdRule
from cxai.sources.jsonl import DEFAULT_FIELDS, object_reader
from cxai.sources.lines import MAX_LINE_BYTES, START_BYTES, Overlong

# A message is one line: its source, which names it, makes it distinct.
_LINE = 1

_EMPTY = Fault("is empty")
_LOST = Fault("was deleted from the queue before it was taken in, so its ID may be lost")


class MessageReader:
    """Makes an entry of each message, also of one that can't be read: then it is invalid.

    `field` is the field of a JSON object that holds the ID, as in JSON Lines. Without it a message
    may also be a bare ID. `source` names the queue and the message, so the same message is the same
    entry whenever it is delivered, and two of them are never one.
    """

    def __init__(self, rule: IdRule, field: str | None = None) -> None:
        self._rule = rule
        self._field = field
        self._of_object = object_reader(rule, field)

    def read(self, payload: bytes, source: str) -> Entry:
        """Return the entry of a message that is one text. White space around it does not count."""
        payload = payload.strip()
        if not payload:
            return self._rule.refused(payload, source, _LINE, _EMPTY)
        if len(payload) > MAX_LINE_BYTES:
            overlong = Overlong(payload[:START_BYTES], 0, MAX_LINE_BYTES)
            return overlong.refused(self._rule, source, _LINE)
        if self._field is None and not payload.startswith(b"{"):
            return self._rule.read(_unquoted(payload), source, _LINE)
        entry = self._of_object(payload, source, _LINE)
        assert isinstance(entry, Entry)  # noqa: S101 - only white space is none, and that is gone
        return entry

    def read_fields(self, fields: Sequence[tuple[bytes, bytes]], source: str) -> Entry:
        """Return the entry of a message that has named fields.

        The field that is named like that of a JSON object holds a bare ID; of a path such as
        `detail.interaction_id` the first name is a field that holds an object. A message with
        neither, but a single field, has its text there, whatever the name is.
        """
        named = DEFAULT_FIELDS if self._field is None else (self._field,)
        for name in named:
            if (values := _values(fields, name)) is None:
                continue
            if len(values) > 1:
                fault = Fault(f"has a field twice, {name!r}")
                return self._rule.refused(_joined(fields), source, _LINE, fault)
            return self._rule.read(values[0].strip(), source, _LINE)
        head, dot, path = (self._field or "").partition(".")
        if dot and (values := _values(fields, head)) is not None and len(values) == 1:
            return MessageReader(self._rule, path).read(values[0], source)
        if len(fields) == 1:
            return self.read(fields[0][1], source)
        absent = Fault(f"has no field {' or '.join(map(repr, named))}")
        return self._rule.refused(_joined(fields), source, _LINE, absent)

    def lost(self, source: str) -> Entry:
        """Return the entry of a message whose content is gone."""
        return self._rule.refused(b"", source, _LINE, _LOST)


def _values(fields: Sequence[tuple[bytes, bytes]], name: str) -> list[bytes] | None:
    key = name.encode()
    return [value for one, value in fields if one == key] or None


def _joined(fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b" ".join(part for pair in fields for part in pair)


def _unquoted(payload: bytes) -> bytes:
    """Return the text of a JSON string, and anything else as it is."""
    if payload.startswith(b'"'):
        try:
            text = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return payload
        return str(text).encode()
    return payload
