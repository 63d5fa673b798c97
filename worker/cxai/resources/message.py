"""The message in the body of an error, made safe to show and keep.

`errorMessage` is the vendor's, `message` and `error` gateways' and frameworks', `title` and
`detail` of RFC 9457.
"""

import re
from typing import Any

from cxai.core.text import printable
from cxai.policy.reply import Failure
from cxai.resources.json_body import parse

MAX_MESSAGE_CHARS = 200  # that are kept
_MOST_READ = 4_096

_MESSAGES = ("errormessage", "message", "error_description")
_PROBLEM = ("title", "detail")
_NESTED = "error"
_NO_TEXT = ("<", "{", "[", '"')  # markup, and truncated JSON

_CREDENTIALS = re.compile(r"//(?:[^\s/?#@:]*:\S*|[^\s/?#]*)@")
_QUERY = re.compile(r"""[?#][^\s?#"'<>]*=[^\s"'<>]*""")
_BEARER = re.compile(r"(?i)\b(bearer)\s+(?=\S*\d)\S{16,}")


def message(body: bytes) -> str | None:
    """Return the message in an error's body, None if there is none; never raises.

    Plain text counts as a message, an HTML page does not.
    """
    value = parse(body)
    if isinstance(value, Failure):
        text = body.decode("utf-8", "replace").strip()
        return None if text.startswith(_NO_TEXT) or "\0" in text else message_of(text)
    return message_of(_found(value))


def message_of(text: Any) -> str | None:
    """Return a text bounded, printable and without secrets of URLs or bearer tokens; else None."""
    if not isinstance(text, str):
        return None
    text = _CREDENTIALS.sub("//", text[:_MOST_READ])
    text = _QUERY.sub("?…", text)
    text = _BEARER.sub(r"\1 …", text)
    return one_line(text, MAX_MESSAGE_CHARS) or None


def one_line(text: str, most_chars: int) -> str:
    """Return `text` on one printable line, cut if it is longer than `most_chars`."""
    return printable(" ".join(text[:_MOST_READ].split()), most_chars)


def _found(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return None
    fields = {key.casefold(): content for key, content in value.items()}
    for key in _MESSAGES:
        if isinstance(words := fields.get(key), str) and words.strip():
            return words
    problem = [words for key in _PROBLEM if isinstance(words := fields.get(key), str)]
    return ": ".join(problem) or _found(_inner(fields.get(_NESTED)))


def _inner(value: Any) -> Any:
    """Return a nested error without the errors nested in it."""
    if not isinstance(value, dict):
        return value
    return {key: content for key, content in value.items() if key.casefold() != _NESTED}
