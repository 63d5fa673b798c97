"""Text from outside, made fit to be shown: on a terminal, in a message, in a log."""

import os

_BYTES_OF_A_CHARACTER = 4  # in UTF-8, at most


def printable(text: str | bytes | os.PathLike[str], most_chars: int | None = None) -> str:
    r"""Return `text` with every character that does not print as its escape, such as `\x1b`.

    So no terminal takes it for a command, and it can be seen which character it was. Bytes are
    read as UTF-8; one that is not UTF-8 is shown as `\xff`. If the result is longer than
    `most_chars`, it is cut, and ends in "…".
    """
    if isinstance(text, os.PathLike):
        text = os.fsencode(text)
    if most_chars is not None:  # enough of it to know whether it is longer
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
