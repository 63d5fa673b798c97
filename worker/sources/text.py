"""Text: one ID a line, comments after `#`."""

from collections.abc import Iterator

from worker.domain.entry import IdRule, Item, Skip
from worker.sources.lines import Overlong, numbered_lines

MAX_LINE_BYTES = 65_536

_COMMENT = ord("#")


def items_of_text(chunks: Iterator[bytes], name: str, rule: IdRule) -> Iterator[list[Item]]:
    """Yield one item for each line, in blocks as their chunks arrive.

    White space around an ID, the CR of a CRLF included, is no part of it. A line without anything
    else is BLANK, one that begins with `#` a COMMENT, one of more than MAX_LINE_BYTES refused.
    Raises InputBrokenError.
    """
    for first, lines in numbered_lines(chunks, MAX_LINE_BYTES, name):
        if isinstance(lines, Overlong):
            yield [lines.refused(name, first)]
        else:
            yield [_item(line, name, number, rule) for number, line in enumerate(lines, first)]


def _item(line: bytes, name: str, number: int, rule: IdRule) -> Item:
    text = line.strip()
    if not text:
        return Skip.BLANK
    if text[0] == _COMMENT:
        return Skip.COMMENT
    return rule.read(text, name, number)
