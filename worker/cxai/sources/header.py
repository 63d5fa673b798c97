"""The header row of a CSV file: its delimiter, and the column of the IDs."""

import csv
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from cxai.core.entry import IdRule
from cxai.core.guid import INVISIBLE
from cxai.errors import UsageError
from cxai.sources.cells import parsed
from cxai.sources.options import DEFAULT_NAMES
from cxai.sources.text import ODD_LINE_END

DELIMITERS = (b",", b";", b"\t", b"|")

# Excel writes and reads this line above the header: it names the delimiter.
SEP = re.compile(rb'"?sep=([\t !#-~])"?\1*\s*', re.IGNORECASE)

_MOST_LINES = 1_000
_MOST_BYTES = 1 << 20
_COLUMNS_SHOWN = 20
_NAME_CHARS_SHOWN = 40

NAME_THE_COLUMN = "Name the column that contains the IDs with --column."
PLAIN_LIST = "For a plain list of IDs, one per line, use a .txt file without --column."


class ColumnMissingError(UsageError):
    """The header has neither the column nor one with a similar name; `found` describes it."""

    def __init__(self, found: str) -> None:
        super().__init__(f"{found} {NAME_THE_COLUMN}")
        self.found = found


@dataclass(frozen=True, slots=True)
class Header:
    """The form of all rows. `index` is the position of the ID's cell, from 0, in `column`."""

    delimiter: bytes
    width: int
    index: int
    column: str


class HeaderReader:
    """Collects lines until the header row is complete; its errors suggest what to do."""

    def __init__(self, name: str, rule: IdRule, column: str | None) -> None:
        self._name = name
        self._rule = rule
        self._column = column
        self._wanted = (column,) if column is not None else DEFAULT_NAMES
        self._delimiter: bytes | None = None  # from a line `sep=`
        self._lines: list[bytes] = []
        self.was_blank = False
        """Whether the last line was blank and came before the header."""

    def read(self, line: bytes) -> Header | None:
        """Add a line; return the header once it is complete. Raises UsageError."""
        self.was_blank = not line.strip() and not self._lines
        if self.was_blank:
            return None
        if not self._lines and self._delimiter is None and (sep := SEP.fullmatch(line)):
            self._delimiter = sep[1]
            return None
        self._lines.append(line)
        text = b"\n".join(self._lines)
        if len(self._lines) > _MOST_LINES or len(text) > _MOST_BYTES:
            raise self._no_header("a quote is not closed, or the row is too long")
        delimiter = self._delimiter or self._delimiter_of(text)
        cells = _split(text, delimiter)
        return None if cells is None else self._header(text, delimiter, cells)

    def end(self) -> None:
        """Check, after the last line, that no header row is incomplete. Raises UsageError."""
        if self._lines:
            raise self._no_header("a quote is not closed")

    def _header(self, text: bytes, delimiter: bytes, cells: list[bytes]) -> Header:
        names = names_of(cells)
        if found := ODD_LINE_END.search(text):
            where = found[0].decode("utf-8")
            raise self._no_header(f"it contains an unusual line break (U+{ord(where):04X})")
        for wanted in self._wanted:
            if names.count(wanted) == 1:
                return Header(delimiter, len(cells), names.index(wanted), wanted)
            if wanted in names:
                raise self._several(names, wanted)
        if (number := self._number(len(cells))) is not None:
            for at, cell in enumerate(cells, 1):
                if self._rule.allows(cell):  # it would be lost
                    raise self._no_header(f"column {at} contains an ID")
            if self._rule.is_almost_id(cells[number - 1]):
                raise self._no_header(f"column {number} contains a mistyped ID")
            return Header(delimiter, len(cells), number - 1, names[number - 1])
        raise self._missing(names, has_ids=any(map(self._rule.allows, cells)))

    def _delimiter_of(self, text: bytes) -> bytes:
        for delimiter in DELIMITERS:
            if not set(self._wanted).isdisjoint(names_of(_split(text, delimiter) or [])):
                return delimiter
        return max(DELIMITERS, key=text.count)

    def _number(self, width: int) -> int | None:
        """Return the column's number, from 1, if the column was given by number."""
        column = self._column or ""
        is_number = column.isascii() and column.isdigit() and len(column) < 6  # noqa: PLR2004
        return int(column) if is_number and 1 <= int(column) <= width else None

    def _no_header(self, why: str) -> UsageError:
        return UsageError(
            f"{self._name}: the first row is not a header row: {why}."
            f" CSV starts with a row of column names. {PLAIN_LIST}"
        )

    def _several(self, names: Sequence[str], wanted: str) -> UsageError:
        numbers = [number for number, name in enumerate(names, 1) if name == wanted]
        listed = ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"
        return UsageError(
            f"{self._name} has several columns named {wanted!r}: {listed}. Its header row is"
            f" {shown(names)}. Choose one by its number: --column {numbers[0]}."
        )

    def _missing(self, names: Sequence[str], *, has_ids: bool) -> UsageError:
        wanted = " or ".join(map(repr, self._wanted))
        text = f"{self._name} has no column {wanted}. Its header row is {shown(names)}."
        if has_ids:
            return UsageError(
                f"{text} That row contains an ID, so it is not a header row. {PLAIN_LIST}"
            )
        near = [name for name in names if _plain(name) in map(_plain, self._wanted)]
        if len(near) == 1:
            return UsageError(f"{text} Did you mean --column {shlex.quote(near[0])}?")
        return ColumnMissingError(text)


def names_of(cells: Sequence[bytes]) -> list[str]:
    """Return the names in a header row, without spaces and byte order marks around them."""
    return [_name(cell.decode("utf-8", "backslashreplace")) for cell in cells]


def _name(text: str) -> str:
    text = text.strip().strip(INVISIBLE)
    is_quoted = len(text) > 1 and text[0] == text[-1] == '"'  # a mark hid the opening quote
    return text[1:-1] if is_quoted else text


def shown(names: Sequence[str]) -> str:
    """Return names for a message, limited in number and length."""
    some = [repr(name[:_NAME_CHARS_SHOWN]) for name in names[:_COLUMNS_SHOWN]]
    return ", ".join([*some, "…"] if len(names) > _COLUMNS_SHOWN else some)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def _split(text: bytes, delimiter: bytes) -> list[bytes] | None:
    """Return the cells of a row, None if it ends within quotes."""
    if b'"' not in text:
        return text.split(delimiter)
    try:
        found = parsed(text, delimiter)
    except csv.Error:  # with this delimiter, a line break is outside the quotes
        return []
    return None if found.is_open else found.cells
