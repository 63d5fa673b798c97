"""Masks the API token in replies, before anything else uses them.

The API, or a gateway in front of it, may send the token back: in a message, in an unknown field or
as its key. `[token]` then replaces it in what is kept of the body.
"""

from typing import Any, Protocol

import orjson

from cxai.policy.reply import Failure
from cxai.resources.json_body import not_a_result, parse


class Secrets(Protocol):
    """The tokens in use."""

    def may_be_in(self, data: bytes) -> bool:
        """Whether these bytes may contain a secret in any spelling; fast."""

    def __call__(self, text: str) -> str:
        """Return `text` with each secret masked."""


def masked(body: bytes, secrets: Secrets) -> bytes | Failure:
    """Return `body` with all secrets masked; usually that is the same object.

    Fails with NOT_A_RESULT if it is nested too deeply to be written as JSON again.
    """
    if not secrets.may_be_in(body):
        return body
    value = parse(body)
    if isinstance(value, Failure):
        return secrets(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    # An `é` or a `&` in some name is enough to get here. There are few distinct texts: they take
    # 0.25 ms for 24 KB, all texts 1.3.
    if all(secrets(text) == text for text in _texts(value)):
        return body
    try:
        orjson.dumps(value)  # also refuses what nests too deeply for `_without`
        return orjson.dumps(_without(secrets, value))
    except orjson.JSONEncodeError:
        return not_a_result("can't be written as JSON: nested too deeply")


def _texts(value: Any) -> set[str]:
    """Return all distinct texts in a JSON value, including keys."""
    texts: set[str] = set()
    left = [value]
    for each in left:  # it grows during the loop
        if isinstance(each, dict):
            texts.update(each)
            left += each.values()
        elif isinstance(each, list):
            left += each
        elif isinstance(each, str):
            texts.add(each)
    return texts


def _without(secrets: Secrets, value: Any) -> Any:
    match value:
        case str():
            return secrets(value)
        case list():
            return [_without(secrets, element) for element in value]
        case dict():
            found: dict[str, Any] = {}
            for key, content in value.items():
                name = masked_key = secrets(key)
                while name in found:  # if two keys are the token, both keep their values
                    name += masked_key
                found[name] = _without(secrets, content)
            return found
        case _:
            return value
