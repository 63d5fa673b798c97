"""One line of CSV cut into its cells."""

import csv
from dataclasses import dataclass

from cxai.sources.lines import MAX_LINE_BYTES

Cells = list[bytes]

# The csv module's own limit of 128 KiB a cell would be an error; lines are bounded before this.
csv.field_size_limit(MAX_LINE_BYTES + 2)


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """The cells of a line. `is_open` if it ends within quotes, so that the last one goes on.

    Not `is_strict` if text follows a closing quote.
    """

    cells: Cells
    is_open: bool
    is_strict: bool


def parsed(line: bytes, delimiter: bytes, *, within_quotes: bool = False) -> ParsedLine:
    """Cut a line, without its end, that has quotes, or begins within them.

    A quote in the middle of a cell that doesn't begin with one is text (`5" pipe`).
    """
    # Bytes that are no UTF-8 pass unchanged, and are judged as part of the ID, if they are in it.
    text = line.decode("utf-8", "surrogateescape")
    if within_quotes:
        text = '"' + text
    mark = delimiter.decode()
    reader = csv.reader((text, ""), delimiter=mark)
    cells = next(reader)
    is_open = reader.line_num > 1  # it asked for another line
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
