"""Text: one ID per line, and comment lines that start with `#`."""

import re
from collections.abc import Iterator

from cxai.core.entry import Entry, Fault, IdRule, IgnoredLine, SourceItem
from cxai.core.guid import INVISIBLE
from cxai.sources.lines import Overlong, numbered_lines

MAX_LINE_BYTES = 65_536

_COMMENT = ord("#")

_HIDES_TEXT = Fault("is a comment that contains an unusual line break, followed by text")

ODD_LINE_END = re.compile(rb"[\0\x0b\x0c\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9]")
"""Line breaks of other systems: NUL, VT, FF, FS, GS, RS, NEL, U+2028 and U+2029."""

# Rarer ones: any control character but tab, NEL as a single byte, and escaped line breaks (`\n`).
# They are suspicious only in front of an ID.
_RARE_LINE_END = re.compile(rb"[\x01-\x08\x0e-\x1b\x1f\x7f\x85]|\\[nr]|" + ODD_LINE_END.pattern)


def items_of_text(
    chunks: Iterator[bytes], name: str, rule: IdRule, _place: str | None = None
) -> Iterator[list[SourceItem]]:
    """Yield one item for each line, in blocks as chunks arrive.

    A line of only white space is BLANK, one that starts with `#` is a COMMENT. Rejected are lines
    of more than MAX_LINE_BYTES, and comments with text after a line break of another system, or an
    ID after a rarer one: those could be lost IDs. Raises InputBrokenError.
    """
    for first, lines in numbered_lines(chunks, MAX_LINE_BYTES, name):
        if isinstance(lines, Overlong):
            yield [lines.refused(rule, name, first)]
        else:
            yield [_item(line, name, number, rule) for number, line in enumerate(lines, first)]


def _item(line: bytes, name: str, number: int, rule: IdRule) -> SourceItem:
    text = line.strip()
    if not text:
        return IgnoredLine.BLANK
    if text[0] == _COMMENT:
        return _comment(text, name, number, rule)
    entry = rule.read(text, name, number)
    if entry.invalid and not text.decode("utf-8", "surrogateescape").strip(INVISIBLE):
        return IgnoredLine.BLANK
    return entry


def _comment(text: bytes, name: str, number: int, rule: IdRule) -> IgnoredLine | Entry:
    _, *rest = map(bytes.strip, ODD_LINE_END.split(text))
    _, *lines = _RARE_LINE_END.split(text)
    if all(part[:1] in {b"", b"#"} for part in rest) and not any(map(rule.allows, lines)):
        return IgnoredLine.COMMENT
    return rule.refused(text, name, number, _HIDES_TEXT)
