"""Messages of a queue: a bare ID, or a JSON object with the ID in one of its fields."""

from collections.abc import Sequence

import orjson

from cxai.core.entry import Entry, Fault, IdRule
from cxai.sources.jsonl import object_reader
from cxai.sources.lines import MAX_LINE_BYTES, START_BYTES, Overlong
from cxai.sources.options import DEFAULT_NAMES

# Each message is line 1 of its own source, which contains its number.
_LINE = 1

_EMPTY = Fault("is empty")
_LOST = Fault("was deleted from the queue before it was read, so its ID may be lost")

_MISSING = "represents messages that were deleted from the queue before delivery"


class MessageReader:
    """Makes an entry of each message of `queue`; one without a readable ID is an invalid entry.

    `field` is as in JSON Lines; without it a message may also be a bare ID. The source of an entry
    contains queue and message number, so only a redelivered message is the same entry.
    """

    def __init__(self, queue: str, rule: IdRule, field: str | None = None) -> None:
        self._queue = queue
        self._rule = rule
        self._field = field
        self._of_object = object_reader(rule, field)

    def read(self, payload: bytes, number: str) -> Entry:
        """Return the entry of message `number`, a text. White space around it is ignored."""
        payload = payload.strip()
        if not payload:
            return self._refused(payload, number, _EMPTY)
        if len(payload) > MAX_LINE_BYTES:
            overlong = Overlong(payload[:START_BYTES], 0, MAX_LINE_BYTES)
            return overlong.refused(self._rule, self._source(number), _LINE)
        if self._field is None and not payload.startswith(b"{"):
            return self._rule.read(_unquoted(payload), self._source(number), _LINE)
        entry = self._of_object(payload, self._source(number), _LINE)
        assert isinstance(entry, Entry)  # noqa: S101 - blank ones are handled above
        return entry

    def read_fields(self, fields: Sequence[tuple[bytes, bytes]], number: str) -> Entry:
        """Return the entry of message `number`, which has named fields.

        The field with the name of the JSON field contains a bare ID; for a path such as
        `detail.interaction_id`, `detail` contains an object. Else a single field contains the text,
        whatever its name.
        """
        named = DEFAULT_NAMES if self._field is None else (self._field,)
        for name in named:
            if (values := _values(fields, name)) is None:
                continue
            if len(values) > 1:
                return self._refused(_joined(fields), number, Fault(f"has field {name!r} twice"))
            return self._rule.read(values[0].strip(), self._source(number), _LINE)
        head, dot, path = (self._field or "").partition(".")
        if dot and (values := _values(fields, head)) is not None and len(values) == 1:
            return MessageReader(self._queue, self._rule, path).read(values[0], number)
        if len(fields) == 1:
            return self.read(fields[0][1], number)
        absent = Fault(f"has no field {' or '.join(map(repr, named))}")
        return self._refused(_joined(fields), number, absent)

    def lost(self, number: str, missing: int = 0) -> Entry:
        """Return the entry of a deleted message, or one for a number of `missing` messages."""
        fault = Fault(_MISSING, f"{missing:,} lost") if missing else _LOST
        return self._refused(number.encode(), number, fault)

    def number_of(self, entry: Entry) -> str:
        """Return the message number of an entry."""
        return entry.source.removeprefix(self._source(""))

    def _source(self, number: str) -> str:
        return f"{self._queue}#{number}"

    def _refused(self, raw: bytes, number: str, fault: Fault) -> Entry:
        return self._rule.refused(raw, self._source(number), _LINE, fault)


def _values(fields: Sequence[tuple[bytes, bytes]], name: str) -> list[bytes] | None:
    key = name.encode()
    return [value for one, value in fields if one == key] or None


def _joined(fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b" ".join(part for pair in fields for part in pair)


def _unquoted(payload: bytes) -> bytes:
    """Return the text of a JSON string, and any other payload unchanged."""
    if payload.startswith(b'"'):
        try:
            text = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return payload
        return str(text).encode()
    return payload
