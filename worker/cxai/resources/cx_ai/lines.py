"""Writes rows as JSON Lines: UTF-8, one object a line, a line feed behind each."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from cxai.core.entry import Entry
from cxai.policy.reply import Failure, Interaction, Said, Trouble
from cxai.policy.verdict import Stage, Verdict
from cxai.resources.cx_ai.bands import Bands
from cxai.resources.cx_ai.records import (
    FAILURES,
    RECORDS,
    Row,
    Shape,
    failed,
    nested,
    stamped,
    tables,
)

_TOO_DEEP = Failure(
    Trouble.NOT_A_RESULT, Stage.VALIDATE, "can't be written as JSON: nested too deeply"
)

# What stands between two rows of one interaction: where there are several, they begin so.
_BETWEEN_ROWS = b'},{"participant":'


class Lines:
    """Lays results out in one shape. An adapter of `ports.Recorder`.

    `run_id` is in every row. With `bands`, each score has its band. A part set without rows is left
    out of the answer.
    """

    def __init__(self, shape: Shape, run_id: str, bands: Bands | None = None) -> None:
        self._shape = shape
        self._run_id = run_id
        self._bands = bands

    def record(
        self, interaction_id: str, interaction: Interaction, at: datetime
    ) -> Mapping[str, bytes] | Failure:
        """Return the record's lines; a Failure if unknown fields nest too deeply (about 250)."""
        stamp = stamped(interaction_id, timestamp(at), self._run_id)
        try:
            match self._shape:
                case Shape.NESTED:
                    return {RECORDS: _line(nested(stamp, interaction, self._bands))}
                case Shape.TABLES:
                    rows = tables(interaction, self._bands, _text)
                    begin = orjson.dumps(stamp)[:-1] + b","
                    return {name: _lines(begin, of_set) for name, of_set in rows.items() if of_set}
        except orjson.JSONEncodeError:  # it reads 1,024 levels, but writes 254
            return _TOO_DEEP

    def failure(
        self,
        entry: Entry,
        verdict: Verdict,
        reason: str,
        *,
        stage: Stage,
        attempts: int,
        at: datetime,
        said: Said,
    ) -> Mapping[str, bytes]:
        """Return the line that lists an ID without a record."""
        stamp = stamped(entry.id, timestamp(at), self._run_id)
        row = failed(stamp, entry, verdict, reason, stage=stage, attempts=attempts, said=said)
        # The name of a file may be no Unicode: such bytes are shown escaped.
        row["source"] = entry.source.encode("utf-8", "backslashreplace").decode()
        return {FAILURES: _line(row)}


def timestamp(at: datetime) -> str:
    """Return `at` in UTC after RFC 3339, with milliseconds: `2025-01-31T02:03:04.005Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _line(row: Row) -> bytes:
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def _lines(begin: bytes, rows: Sequence[Row]) -> bytes:
    """Return a line for each row of one interaction, with `begin` as its first columns."""
    # One call for all rows: orjson's time is mostly per call (222 rows: 160 µs, at once 45 µs). No
    # value of a row is an object, and a text can't hold these bytes: its quotes are escaped.
    between = b"}\n" + begin + _BETWEEN_ROWS[3:]
    return begin + orjson.dumps(rows)[2:-1].replace(_BETWEEN_ROWS, between) + b"\n"


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()
