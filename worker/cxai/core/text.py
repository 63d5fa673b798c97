"""Makes untrusted text printable: for a terminal, a message or a log."""

import os

_BYTES_OF_A_CHARACTER = 4  # in UTF-8, at most


def printable(text: str | bytes | os.PathLike[str], most_chars: int | None = None) -> str:
    r"""Return `text` with every unprintable character escaped, as in `\x1b`.

    So no terminal executes it. Bytes are decoded as UTF-8; invalid ones are shown as `\xff`. A
    result longer than `most_chars` is cut, and ends in "…".
    """
    if isinstance(text, os.PathLike):
        text = os.fsencode(text)
    if most_chars is not None:  # enough to see whether it is longer
        text = text[: _BYTES_OF_A_CHARACTER * most_chars + 1]
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    if not text.isprintable():
        text = "".join(c if c.isprintable() else _escaped(c) for c in text)
    if most_chars is None or len(text) <= most_chars:
        return text
    return text[: most_chars - 1] + "…"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
