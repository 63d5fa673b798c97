"""What one line of input asks for: an interaction ID, or the reason why it can't be one."""

import hashlib
import re
from dataclasses import dataclass
from enum import Enum, auto

from worker.errors import UsageError

GUID_PATTERN = "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
"""The form of every public sample of an interaction identifier."""

_GUID = re.compile(GUID_PATTERN)

MAX_ID_CHARS = 256

# RFC 3986 "unreserved": the only characters that no server and no client reads as anything
# but themselves. Whatever --id-pattern admits, an ID is made of these and is not "." or "..".
_SAFE = re.compile(rf"(?!\.+\Z)[A-Za-z0-9._~-]{{1,{MAX_ID_CHARS}}}")

_EXCERPT_CHARS = 80


class Skip(Enum):
    """A line of input that asks for nothing."""

    BLANK = auto()
    COMMENT = auto()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of input that asks for a result.

    `key` is what makes it distinct: 16 bytes for a GUID (upper and lower case are one GUID), the
    text for any other ID, 17 bytes for a line that holds no allowed ID.
    `id` is the ID as given, or a printable excerpt if it isn't one; `invalid` then says why.
    `line` counts from 1.
    """

    key: bytes | str
    id: str
    source: str
    line: int
    invalid: str | None = None


Item = Entry | Skip
"""What a line of input is."""


class IdRule:
    """Tells an allowed ID from text that must never become part of a URL.

    `pattern` is a regular expression that the whole ID has to match. It can only narrow what is
    allowed, never widen it: letters, digits and `-._~`, at most 256 characters.
    Raises UsageError if `pattern` is not a regular expression.
    """

    def __init__(self, pattern: str = GUID_PATTERN) -> None:
        try:
            self._matches = re.compile(pattern).fullmatch
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(
                f"--id-pattern {pattern!r} is not a regular expression: {error}."
            ) from error
        self._is_guid = pattern == GUID_PATTERN

    def read(self, raw: bytes, source: str, line: int) -> Entry:
        """Return the entry that `raw` (one ID, blanks and tabs around it allowed) stands for.

        A line break is none of these: an ID that brings one along was not meant to be one.
        """
        raw = raw.strip(b" \t")
        text = raw.decode("ascii", "replace")
        if not self._matches(text):
            wanted = "is not a GUID" if self._is_guid else "does not match --id-pattern"
            return refused(raw, source, line, wanted)
        if not self._is_guid and not _SAFE.fullmatch(text):
            return refused(raw, source, line, "has a character or form that would change the URL")
        return Entry(key_of(text), text, source, line)


def key_of(interaction_id: str) -> bytes | str:
    """Return what makes an allowed ID distinct, whatever pattern has allowed it."""
    if _GUID.fullmatch(interaction_id):
        return bytes.fromhex(interaction_id.replace("-", ""))
    return interaction_id


def refused(
    raw: bytes, source: str, line: int, reason: str, *, digest: bytes | None = None
) -> Entry:
    """Return the entry of a line that holds no allowed ID, distinct by the bytes of `raw`.

    Where `raw` is only the beginning of the line, `digest` is the SHA-256 of all of it.
    """
    key = b"!" + (digest or hashlib.sha256(raw).digest())[:16]
    return Entry(key, _excerpt(raw), source, line, reason)


def _excerpt(raw: bytes) -> str:
    enough = 4 * _EXCERPT_CHARS  # a character of UTF-8 has up to 4 bytes
    text = raw[:enough].decode("utf-8", "backslashreplace")
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    whole = len(shown) <= _EXCERPT_CHARS and len(raw) <= enough
    return shown if whole else shown[: _EXCERPT_CHARS - 1] + "…"
