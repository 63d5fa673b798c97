"""CSV with a header row: the ID is the cell in one of its columns."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from cxai.core.entry import Entry, Fault, IdRule, IgnoredLine, SourceItem
from cxai.errors import InputBrokenError, UsageError
from cxai.sources.cells import Cells, parsed
from cxai.sources.header import Header, HeaderReader
from cxai.sources.lines import MAX_LINE_BYTES, START_BYTES, Overlong, numbered_lines
from cxai.sources.text import ODD_LINE_END

# So many cells more than the header has are kept of a row that takes several lines.
_MOST_SURPLUS = 64

_TEXT_BEHIND_QUOTE = Fault("has text behind a closing quote")
_HIDES_ID = Fault("has a line end in it that only other systems know, and an ID behind that")


def items_of_table(
    chunks: Iterator[bytes], name: str, rule: IdRule, column: str | None = None
) -> Iterator[list[SourceItem]]:
    """Yield one item for each row below the header, in blocks as their chunks arrive.

    `column` names the column of the IDs, or gives its number, from 1; without it that is the first
    of DEFAULT_COLUMNS that the header has. The delimiter is the first of comma, semicolon, tab and
    bar with which the header has the column, unless a line `sep=;` before the header gives it.
    Cells may be quoted and then hold line breaks, as many as they like; an ID with one is refused.
    An item's line is the one where its row begins.

    A row of empty cells is BLANK. Refused is one without an ID in the column, one with more cells
    than the header, one with fewer and several IDs (they may be shifted), one in which text follows
    a closing quote or IDs follow a line end of another system, and one with a line of more than
    MAX_LINE_BYTES.

    Raises UsageError if the header lacks the column. Raises InputBrokenError where a quote is left
    open: where the next row begins is unknown then, and IDs would be lost unnoticed. It is raised
    at the end of the input, or as soon as a line within the quotes would be a row with an ID.
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
    """A row that ended, so far, within a quoted cell.

    `cells` are its cells so far, of which the last is open; of that, only the beginning is kept.
    `fault` says why the row is refused, whatever follows.
    """

    start: bytes
    cells: list[bytes] = field(default_factory=list)
    fault: Fault | None = None

    def add(self, tail: bytes, more: list[bytes], most: int) -> None:
        """Go on with the open cell, and with the cells behind it, if it was closed."""
        if len(self.cells[-1]) < START_BYTES:
            self.cells[-1] += b"\n" + tail[:START_BYTES]
        self.cells.extend(more)
        del self.cells[most:]


class _Table:
    """Puts lines together to rows, and takes the ID out of each."""

    def __init__(self, name: str, rule: IdRule, column: str | None) -> None:
        self._name = name
        self._rule = rule
        self._reader = HeaderReader(name, rule, column)
        self._header: Header | None = None
        self._row: _OpenRow | None = None
        self._first = 0  # the line where the row at hand begins

    def item(self, number: int, line: bytes) -> SourceItem | None:
        """Take the next line; return None for the header and while its row is still open."""
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
                raise self._quote_open("opened behind text that follows a closing quote")
            self._refuse_swallowed(header, number, found.cells[:-1], found.cells[-1], [])
            self._row = _OpenRow(line[:START_BYTES], found.cells)
            return None
        if not found.is_strict:
            return self._refused(line, _TEXT_BEHIND_QUOTE)
        return self._item(header, line, found.cells)

    def overlong(self, number: int, line: Overlong) -> SourceItem | None:
        """Take a line that was too long to be kept. An odd number of quotes leaves one open."""
        if self._header is None:
            raise UsageError(
                f"{self._name}: a line of its header row is longer than {line.limit:,} bytes;"
                " a CSV file begins with a header row."
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
        """Note that there are no more lines."""
        if self._row is not None:
            raise self._quote_open("never closed")
        if self._header is None:
            self._reader.end()

    def _continued(
        self, row: _OpenRow, header: Header, number: int, line: bytes
    ) -> SourceItem | None:
        """Take a line that begins within a quoted cell."""
        if b'"' not in line:
            self._refuse_swallowed(header, number, [], line, [])
            row.add(line, [], header.width + _MOST_SURPLUS)
            return None
        found = parsed(line, header.delimiter, within_quotes=True)
        if not found.is_strict:
            raise self._quote_open("closed by one that belongs to another cell")
        self._refuse_swallowed(header, number, [], found.cells[0], found.cells[1:])
        row.add(found.cells[0], found.cells[1:], header.width + _MOST_SURPLUS)
        if found.is_open:
            return None
        self._row = None
        if row.fault is not None:
            return self._refused(row.start, row.fault)
        return self._item(header, row.start, row.cells)

    def _refuse_swallowed(
        self, header: Header, number: int, before: Cells, quoted: bytes, behind: Cells
    ) -> None:
        """Raise InputBrokenError if a quote hides a row in a cell with line breaks."""
        if self._hides_row(header, before, quoted, behind):
            raise self._quote_open(
                f"not closed where it should be: line {number:,} would be a row of its own"
            )

    def _hides_row(self, header: Header, before: Cells, quoted: bytes, behind: Cells) -> bool:
        """Whether a line, if it had no quotes, would be a row whose ID is in `quoted`.

        `before` and `behind` are the line's other cells. Line ends that only other systems know
        may make several lines of it. A row with fewer cells than the header can't be told from
        text, and is not looked for.
        """
        first, *rest = ODD_LINE_END.split(quoted)
        if not rest:
            return self._is_row(header, before, first, behind)
        *middle, last = rest
        return (
            self._is_row(header, before, first, [])
            or any(self._is_row(header, [], part, []) for part in middle)
            or self._is_row(header, [], last, behind)
        )

    def _is_row(self, header: Header, before: Cells, quoted: bytes, behind: Cells) -> bool:
        inside = quoted.split(header.delimiter)
        at = header.index - len(before)
        if len(before) + len(inside) + len(behind) != header.width or not 0 <= at < len(inside):
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
        """Say why a row with more or fewer cells than the header is no row.

        Empty ones at its end may be too many, or left out.
        """
        count = len(cells)
        while count > width and not cells[count - 1].strip():
            count -= 1
        if count > width:
            return Fault(f"has {count} cells, but the header row has {width}")
        if sum(map(self._rule.allows, cells)) > 1:  # they may be shifted: which of them is it?
            return Fault(f"has {len(cells)} cells, but the header row has {width}, and several IDs")
        return None

    def _hides_another(self, header: Header, row: bytes, cells: Cells, own: Entry) -> bool:
        """Whether a row on its own, with another ID, may follow a line end that we don't know."""
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

    def _quote_open(self, how: str) -> InputBrokenError:
        return InputBrokenError(
            f"{self._name}: a quote in the row that begins in line {self._first:,} is {how}."
        )
