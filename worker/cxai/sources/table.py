"""CSV with a header row: the ID is in one of its columns."""

from collections.abc import Iterator
from dataclasses import dataclass

from cxai.core.entry import Entry, Fault, IdRule, IgnoredLine, SourceItem
from cxai.errors import InputBrokenError, UsageError
from cxai.sources.cells import Cells, parsed
from cxai.sources.header import Header, HeaderReader
from cxai.sources.lines import MAX_LINE_BYTES, START_BYTES, Overlong, numbered_lines
from cxai.sources.text import ODD_LINE_END

# A row over several lines keeps at most this many cells more than the header has.
_MOST_SURPLUS = 64

_TEXT_AFTER_QUOTE = Fault("has text after a closing quote")
_HIDES_ID = Fault("contains an unusual line break, followed by an ID")


def items_of_table(
    chunks: Iterator[bytes], name: str, rule: IdRule, column: str | None = None
) -> Iterator[list[SourceItem]]:
    """Yield one item for each row below the header, in blocks as chunks arrive.

    `column` is the name of the IDs' column or its number, from 1; the default is the first of
    DEFAULT_NAMES in the header. A line `sep=;` above the header sets the delimiter; otherwise it is
    the first of DELIMITERS that splits the header so that the column is in it. Quoted cells may
    contain line breaks, but an ID may not. The line of an item is the one where its row starts.

    A row of empty cells is BLANK. Rejected are a row without an ID in the column, with more cells
    than the header, with fewer cells and several IDs, with text after a closing quote, with an ID
    after a line break of another system, and with a line of more than MAX_LINE_BYTES.

    Raises UsageError if the header lacks the column, and InputBrokenError for an unclosed quote: at
    the end of the input, or as soon as a line within the quotes would be a row with an ID.
    """
    table = _Table(name, rule, column)
    for first, lines in numbered_lines(chunks, MAX_LINE_BYTES, name):
        if isinstance(lines, Overlong):
            if (item := table.overlong(first, lines)) is not None:
                yield [item]
            continue
        block: list[SourceItem] = []
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


@dataclass(slots=True)
class _OpenRow:
    """A row that continues on the next line; `fault`, if any, is why it will be rejected.

    `cells` are its cells so far; of the last, open one, only the beginning is kept.
    """

    start: bytes
    cells: list[bytes]
    fault: Fault | None = None

    def add(self, tail: bytes, more: list[bytes], most: int) -> None:
        """Add to the open cell, and add the cells after it if it was closed."""
        if len(self.cells[-1]) < START_BYTES:
            self.cells[-1] += b"\n" + tail[:START_BYTES]
        self.cells.extend(more)
        del self.cells[most:]


class _Table:
    """Joins lines into rows, and reads the ID of each."""

    def __init__(self, name: str, rule: IdRule, column: str | None) -> None:
        self._name = name
        self._rule = rule
        self._reader = HeaderReader(name, rule, column)
        self._header: Header | None = None
        self._row: _OpenRow | None = None
        self._first = 0  # the line where the current row starts

    def item(self, number: int, line: bytes) -> SourceItem | None:
        """Return the item of the row that this line ends, None for the header and an open row."""
        if (header := self._header) is None:
            self._header = self._reader.read(line)
            return IgnoredLine.BLANK if self._reader.was_blank else None
        if self._row is not None:
            return self._continued(self._row, header, number, line)
        self._first = number
        if b'"' not in line:
            return self._item(header, line, line.split(header.delimiter))
        found = parsed(line, header.delimiter)
        if found.is_open:
            if not found.is_strict:
                raise self._unbalanced("a quote opens after text that follows a closing quote")
            self._refuse_swallowed(header, number, found.cells[:-1], found.cells[-1], [])
            self._row = _OpenRow(line[:START_BYTES], found.cells)
            return None
        if not found.is_strict:
            return self._refused(line, _TEXT_AFTER_QUOTE)
        return self._item(header, line, found.cells)

    def overlong(self, number: int, line: Overlong) -> SourceItem | None:
        """Return the item of the row that an overlong line ends, None for an open row.

        An odd number of quotes opens or closes a quoted cell.
        """
        if self._header is None:
            raise UsageError(
                f"{self._name}: a line of the header row is longer than {line.limit:,} bytes."
                " CSV starts with a row of column names."
            )
        row = self._row
        if row is None:
            self._first = number
            row = _OpenRow(line.start, [b""])
        elif line.quotes % 2 == 0:
            return None
        row.fault = line.fault
        self._row = row if (self._row is None) == bool(line.quotes % 2) else None
        return None if self._row else self._refused(row.start, line.fault)

    def end(self) -> None:
        """Check, after the last line, that neither a row nor the header is incomplete."""
        if self._row is not None:
            raise self._unbalanced("a quote is never closed")
        if self._header is None:
            self._reader.end()

    def _continued(
        self, row: _OpenRow, header: Header, number: int, line: bytes
    ) -> SourceItem | None:
        """Return the item of the row if this line, which starts within quotes, ends it."""
        if b'"' not in line:
            self._refuse_swallowed(header, number, [], line, [])
            row.add(line, [], header.width + _MOST_SURPLUS)
            return None
        found = parsed(line, header.delimiter, within_quotes=True)
        if not found.is_strict:
            raise self._unbalanced("a closing quote belongs to another cell")
        self._refuse_swallowed(header, number, [], found.cells[0], found.cells[1:])
        row.add(found.cells[0], found.cells[1:], header.width + _MOST_SURPLUS)
        if found.is_open:
            return None
        self._row = None
        if row.fault is not None:
            return self._refused(row.start, row.fault)
        return self._item(header, row.start, row.cells)

    def _refuse_swallowed(
        self, header: Header, number: int, before: Cells, quoted: bytes, after: Cells
    ) -> None:
        """Raise InputBrokenError if a quoted cell seems to contain a whole row."""
        if self._hides_row(header, before, quoted, after):
            raise self._unbalanced(f"line {number:,}, within quotes, looks like a separate row")

    def _hides_row(self, header: Header, before: Cells, quoted: bytes, after: Cells) -> bool:
        """Whether a line, if it had no quotes, would be a row with its ID in `quoted`.

        `before` and `after` are its other cells. Line breaks of other systems may split `quoted`.
        Rows with fewer cells than the header look like text and are not recognized.
        """
        first, *rest = ODD_LINE_END.split(quoted)
        if not rest:
            return self._is_row(header, before, first, after)
        *middle, last = rest
        return (
            self._is_row(header, before, first, [])
            or any(self._is_row(header, [], part, []) for part in middle)
            or self._is_row(header, [], last, after)
        )

    def _is_row(self, header: Header, before: Cells, quoted: bytes, after: Cells) -> bool:
        inside = quoted.split(header.delimiter)
        at = header.index - len(before)
        if len(before) + len(inside) + len(after) != header.width or not 0 <= at < len(inside):
            return False
        is_cell = header.width > 1 and len(inside) == 1
        return not is_cell and self._rule.allows(inside[at])

    def _item(self, header: Header, row: bytes, cells: Cells) -> SourceItem:
        index, width = header.index, header.width
        if len(cells) != width and (fault := self._why_no_row(cells, width)):
            return self._refused(row, fault)
        cell = cells[index] if index < len(cells) else b""
        if not cell.strip():
            if any(other.strip() for other in cells):
                return self._refused(row, Fault(f"has no ID in column {header.column!r}"))
            return IgnoredLine.BLANK
        entry = self._rule.read(cell, self._name, self._first)
        if ODD_LINE_END.search(row) and self._hides_another(header, row, cells, entry):
            return self._refused(row, _HIDES_ID)
        return entry

    def _why_no_row(self, cells: Cells, width: int) -> Fault | None:
        """Return why a row with more or fewer cells than the header is rejected, None if it isn't.

        Empty cells at its end may be surplus or missing.
        """
        count = len(cells)
        while count > width and not cells[count - 1].strip():
            count -= 1
        if count > width:
            return Fault(f"has {count} cells, but the header row has {width}")
        if sum(map(self._rule.allows, cells)) > 1:  # they may be shifted
            return Fault(f"has {len(cells)} cells, but the header row has {width}, and several IDs")
        return None

    def _hides_another(self, header: Header, row: bytes, cells: Cells, own: Entry) -> bool:
        """Whether a separate row, with another ID, may follow a line break of another system."""
        if row.startswith(b'"') or header.delimiter + b'"' in row:
            return any(
                self._hides_row(header, cells[:at], cell, cells[at + 1 :])
                for at, cell in enumerate(cells)
                if ODD_LINE_END.search(cell)
            )
        for part in ODD_LINE_END.split(row)[1:]:
            candidates: Cells = part.split(header.delimiter)
            if len(candidates) > header.index and self._rule.allows(candidates[header.index]):
                other = self._rule.read(candidates[header.index], self._name, self._first)
                if other.key != own.key:
                    return True
        return False

    def _refused(self, row: bytes, fault: Fault) -> SourceItem:
        return self._rule.refused(row, self._name, self._first, fault)

    def _unbalanced(self, why: str) -> InputBrokenError:
        return InputBrokenError(
            f"{self._name}: the quotes of the row that starts in line {self._first:,} are"
            f" unbalanced: {why}."
        )
