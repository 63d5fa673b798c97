"""Splits one line of CSV into cells."""

import csv
from dataclasses import dataclass

from cxai.sources.lines import MAX_LINE_BYTES

Cells = list[bytes]

# The csv module allows 128 KiB per cell by default; lines are bounded before they get here.
csv.field_size_limit(MAX_LINE_BYTES + 2)


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """The cells of a line; the last one continues on the next line if it `is_open`.

    It is not `is_strict` if text follows a closing quote.
    """

    cells: Cells
    is_open: bool
    is_strict: bool


def parsed(line: bytes, delimiter: bytes, *, within_quotes: bool = False) -> ParsedLine:
    """Split a line (without its line break) that contains quotes, or starts within them.

    A quote within a cell that does not start with one is text (`5" pipe`).
    """
    # Bytes that are not UTF-8 pass unchanged; if they are in the ID, it is rejected later.
    text = line.decode("utf-8", "surrogateescape")
    if within_quotes:
        text = '"' + text
    mark = delimiter.decode()
    reader = csv.reader((text, ""), delimiter=mark)
    cells = next(reader)
    is_open = reader.line_num > 1  # the reader needed another line
    return ParsedLine(
        [cell.encode("utf-8", "surrogateescape") for cell in cells],
        is_open,
        _is_strict(text + '"' if is_open else text, mark),
    )


def _is_strict(text: str, mark: str) -> bool:
    try:
        next(csv.reader((text,), delimiter=mark, strict=True))
    except csv.Error:
        return False
    return True
