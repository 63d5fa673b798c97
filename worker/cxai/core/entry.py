"""A line of input, with an ID or the reason why it holds none; and its outcome."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from cxai.core.guid import GUID_PATTERN, guid_in, is_almost_guid, why_no_guid
from cxai.core.secret import MASK, Secrets
from cxai.core.text import printable
from cxai.errors import UsageError
from cxai.policy.verdict import Verdict

_GUID = re.compile(GUID_PATTERN)
MAX_ID_CHARS = 256

# RFC 3986 "unreserved": the only characters that every server and client reads literally. Whatever
# --id-pattern accepts, an ID consists of these and is not "." or "..".
_SAFE = re.compile(rf"(?!\.+\Z)[A-Za-z0-9._~-]{{1,{MAX_ID_CHARS}}}")

_EXCERPT_CHARS = 80
_EXAMINED_BYTES = 4_096  # of a refused line


class IgnoredLine(Enum):
    """A line of input without an ID that is no error."""

    BLANK = auto()
    COMMENT = auto()


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a line holds no allowed ID. As text, it continues a sentence whose subject is the line.

    Lines are counted by `kind`; `detail` is about this line, such as which character is wrong.
    """

    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}" if self.detail else self.kind


NOT_A_GUID = "is not a GUID"
NO_MATCH = Fault("does not match --id-pattern")
CHANGES_URL = Fault("has a character or form that would change the URL")
IS_SECRET = Fault("holds the API token, which is no ID and is shown nowhere")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of input that is meant to hold an ID.

    `key` identifies it: 16 bytes for a GUID (in either case), the text of any other ID, 17 bytes
    for a line that holds no allowed ID. `id` is the ID as it is requested, or a printable excerpt
    if it isn't one; `invalid` then says why. `line` counts from 1.
    """

    key: bytes | str
    id: str
    source: str
    line: int
    invalid: Fault | None = None


SourceItem = Entry | IgnoredLine


class IdRule:
    """Distinguishes allowed IDs from text that must never become part of a URL.

    `pattern` has to match the whole ID. It can only narrow what is allowed: letters, digits and
    `-._~`, at most 256 characters. Without one, an ID is a GUID in any of its usual spellings
    (core/guid.py). Text that holds one of `secrets` is never allowed, and never shown.
    Raises UsageError if `pattern` is not a regular expression.
    """

    def __init__(self, pattern: str = GUID_PATTERN, secrets: Secrets | None = None) -> None:
        try:
            self._matches = re.compile(pattern).fullmatch
        except (re.error, OverflowError, RecursionError) as error:
            raise UsageError(
                f"--id-pattern {pattern!r} is not a regular expression: {error}."
            ) from error
        self._is_guid = pattern == GUID_PATTERN
        self.secrets = secrets or Secrets()

    def read(self, raw: bytes, source: str, line: int) -> Entry:
        """Return the entry for `raw`: one ID, with spaces and tabs around it allowed.

        A line break is not allowed: text that contains one is not meant as an ID.
        """
        raw = raw.strip(b" \t")
        text = raw.decode("ascii", "replace")
        if self._is_guid:
            return self._read_guid(raw, text, source, line)
        if not self._matches(text):
            return self.refused(raw, source, line, NO_MATCH)
        if not _SAFE.fullmatch(text):
            return self.refused(raw, source, line, CHANGES_URL)
        if self.secrets.are_in(text):
            return self.refused(raw, source, line, IS_SECRET)
        return Entry(key_of(text), text, source, line)

    def _read_guid(self, raw: bytes, text: str, source: str, line: int) -> Entry:
        if not self._matches(text):
            given = raw[:_EXAMINED_BYTES].decode("utf-8", "surrogateescape")
            if (guid := guid_in(given)) is None:
                return self.refused(raw, source, line, Fault(NOT_A_GUID, why_no_guid(given)))
            text = guid
        key = bytes.fromhex(text.replace("-", ""))
        if key in self.secrets.guids:
            return self.refused(raw, source, line, IS_SECRET)
        return Entry(key, text, source, line)

    def allows(self, raw: bytes) -> bool:
        """Whether `read` would return an allowed ID; quicker than `read` where it would not."""
        raw = raw.strip(b" \t")
        if not raw or len(raw) > _EXAMINED_BYTES:
            return False
        if self._is_guid and not guid_in(raw.decode("utf-8", "surrogateescape")):
            return False
        return self.read(raw, "", 0).invalid is None

    def is_almost_id(self, raw: bytes) -> bool:
        """Whether it looks like a mistyped GUID."""
        return self._is_guid and is_almost_guid(raw[:_EXAMINED_BYTES].decode("utf-8", "replace"))

    def refused(self, raw: bytes, source: str, line: int, fault: Fault) -> Entry:
        """Return the entry of a line that holds no allowed ID; it contains no part of a secret.

        Its key covers its source's name, line number and bytes: every bad line is listed once, and
        again only under another file name or line number.
        """
        if self.secrets.are_in(raw[:_EXAMINED_BYTES].decode("utf-8", "replace")):
            return Entry(key_of_secret(source, line), MASK, source, line, IS_SECRET)
        shown = printable(raw, _EXCERPT_CHARS)
        return Entry(_key_of_refused(raw, source, line), shown, source, line, fault)


def key_of(interaction_id: str) -> bytes | str:
    """Return the key of an allowed ID, whichever pattern allowed it."""
    if _GUID.fullmatch(interaction_id):
        return bytes.fromhex(interaction_id.replace("-", ""))
    return interaction_id


def key_of_secret(source: str, line: int) -> bytes:
    """Return the key of a line with a secret, from its place alone, which reveals nothing."""
    return _key_of_refused(b"", source, line)


def _key_of_refused(raw: bytes, source: str, line: int) -> bytes:
    place = f"{source}\0{line}\0".encode("utf-8", "surrogatepass")
    return b"!" + hashlib.sha256(place + raw).digest()[:16]


@dataclass(frozen=True, slots=True)
class Outcome:
    """An entry with its verdict, ready to be committed.

    `requests` counts its requests, 0 for `invalid_id`. `lines` holds whole JSON lines by part set.
    """

    entry: Entry
    verdict: Verdict
    requests: int
    lines: Mapping[str, bytes] = field(repr=False)
