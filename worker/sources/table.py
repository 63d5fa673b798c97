"""CSV with a header row: the ID is the cell in one of its columns."""

import csv
from collections.abc import Iterator

from worker.domain.entry import IdRule, Item, Skip, refused
from worker.errors import InputBrokenError, UsageError
from worker.sources.lines import Overlong, numbered_lines

MAX_ROW_BYTES = 65_536  # below the csv module's own limit for a cell, which would be an error

DEFAULT_COLUMN = "interaction_id"

_DELIMITERS = (",", ";", "\t")
_COLUMNS_SHOWN = 20
_NAME_CHARS_SHOWN = 40


def items_of_table(
    chunks: Iterator[bytes], name: str, rule: IdRule, column: str = DEFAULT_COLUMN
) -> Iterator[list[Item]]:
    """Yield one item for each row below the header, in blocks as their chunks arrive.

    The delimiter is the first of comma, semicolon and tab with which the header has `column`.
    Cells may be quoted and then hold line breaks; an ID with one is refused. An item's line is
    the one where its row begins. A row of empty cells is BLANK; one without an ID in `column`, or
    of more than MAX_ROW_BYTES, is refused.

    Raises UsageError if the header lacks `column`. Raises InputBrokenError where a quote is left
    open: nobody can tell then where the next row begins, and IDs would be lost without a word.
    """
    table = _Table(name, rule, column)
    for first, lines in numbered_lines(chunks, MAX_ROW_BYTES, name):
        if isinstance(lines, Overlong):
            yield [table.overlong(first, lines)]
            continue
        block: list[Item] = []
        try:
            for number, line in enumerate(lines, first):
                if (item := table.item(number, line)) is not None:
                    block.append(item)
        except InputBrokenError:
            yield block
            raise
        if block:
            yield block
    table.end()


class _Table:
    """Puts physical lines together to rows, and takes the ID out of each."""

    def __init__(self, name: str, rule: IdRule, column: str) -> None:
        self._name = name
        self._rule = rule
        self._column = column
        self._index: int | None = None  # of the column; None: the header is still to come
        self._delimiter = ""
        self._open = b""  # a row that ends within a quoted cell, so far
        self._first = 0  # the line where the row at hand begins

    def item(self, number: int, line: bytes) -> Item | None:
        """Take the next line; return None for the header and while its row is still open."""
        row = line
        if not self._open:
            self._first = number
        else:
            row = self._open + b"\n" + line
            if len(row) > MAX_ROW_BYTES:
                raise self._quote_open(f"not closed within {MAX_ROW_BYTES:,} bytes")
            if b'"' not in line:  # nothing else could close the cell
                self._open = row
                return None
        try:
            cells = self._cells(row)
        except csv.Error:
            return self._unreadable(row)
        self._open = row if cells is None else b""
        if cells is None:
            return None
        if self._index is None:
            return self._take_header(row, cells)
        if not _is_strict(row, self._delimiter or ","):
            return self._astray(row)
        return self._read(row, cells, self._index)

    def overlong(self, number: int, line: Overlong) -> Item:
        """Take a line that was too long to be kept."""
        if not self._open:
            self._first = number
        if self._open or line.quotes % 2:
            raise self._quote_open(f"not closed within {MAX_ROW_BYTES:,} bytes")
        if self._index is None:
            raise UsageError(
                f"{self._name}: its first line is longer than {MAX_ROW_BYTES:,} bytes;"
                " a CSV file begins with a header row."
            )
        return line.refused(self._name, number)

    def end(self) -> None:
        """Tell that there are no more lines."""
        if self._open:
            raise self._quote_open("never closed")
        if self._index is None:
            raise UsageError(f"{self._name} is empty; a CSV file begins with a header row.")

    def _cells(self, row: bytes) -> list[bytes] | None:
        if not self._delimiter and row.strip():
            self._delimiter = _delimiter(row, self._column)
        return _split(row, self._delimiter or ",")

    def _take_header(self, row: bytes, cells: list[bytes]) -> Item | None:
        if not row.strip():
            return Skip.BLANK
        self._index = self._index_in(cells)
        return None

    def _index_in(self, header: list[bytes]) -> int:
        names = _names(header)
        if names.count(self._column) == 1:
            return names.index(self._column)
        trouble = "several columns" if self._column in names else "no column"
        shown = [repr(name[:_NAME_CHARS_SHOWN]) for name in names[:_COLUMNS_SHOWN]]
        more = ["…"] if len(names) > _COLUMNS_SHOWN else []
        raise UsageError(
            f"{self._name} has {trouble} {self._column!r}; its header row is"
            f" {', '.join(shown + more)}. Name the column that holds the IDs with --column."
        )

    def _read(self, row: bytes, cells: list[bytes], index: int) -> Item:
        cell = cells[index] if index < len(cells) else b""
        if cell.strip():
            return self._rule.read(cell, self._name, self._first)
        if not any(other.strip() for other in cells):
            return Skip.BLANK
        return refused(row, self._name, self._first, f"has no ID in column {self._column!r}")

    def _unreadable(self, row: bytes) -> Item:
        """Judge what the csv module refuses: a CR amid a row that also has quotes."""
        if self._index is None:
            raise UsageError(
                f"{self._name}: its header row is not CSV: there is a carriage return in it."
            )
        self._open = b""
        if row.count(b'"') % 2:
            raise self._quote_open("not closed before a carriage return")
        return refused(row, self._name, self._first, "has a carriage return outside of quotes")

    def _astray(self, row: bytes) -> Item:
        """Judge a row in which text stands behind a closing quote.

        If it has several lines, the quote may just as well have swallowed whole rows.
        """
        if b"\n" in row:
            raise self._quote_open("closed by one that belongs to another cell")
        return refused(row, self._name, self._first, "has text behind a closing quote")

    def _quote_open(self, how: str) -> InputBrokenError:
        return InputBrokenError(
            f"{self._name}: a quote in the row that begins in line {self._first:,} is {how}."
            " What stood before is kept; mend the input and run the same command again."
        )


def _delimiter(header: bytes, column: str) -> str:
    for delimiter in _DELIMITERS:
        if column in _names(_split(header, delimiter) or []):
            return delimiter
    return next((mark for mark in _DELIMITERS if mark.encode() in header), ",")


def _names(header: list[bytes]) -> list[str]:
    return [cell.decode("utf-8", "backslashreplace").strip() for cell in header]


def _split(row: bytes, delimiter: str) -> list[bytes] | None:
    """Return the cells of a row, None if it ends within a quoted one. Raises csv.Error."""
    if b'"' not in row:
        return row.removesuffix(b"\r").split(delimiter.encode())
    # Bytes that are no UTF-8 pass unchanged, and are judged as part of the ID, if they are in it.
    reader = csv.reader((_text(row), ""), delimiter=delimiter)
    cells = next(reader)
    if reader.line_num > 1:  # it asked for another line
        return None
    return [cell.encode("utf-8", "surrogateescape") for cell in cells]


def _is_strict(row: bytes, delimiter: str) -> bool:
    """Whether each quote that closes a cell ends it."""
    if b'"' in row:
        try:
            next(csv.reader((_text(row),), delimiter=delimiter, strict=True))
        except csv.Error:
            return False
    return True


def _text(row: bytes) -> str:
    return row.decode("utf-8", "surrogateescape")
