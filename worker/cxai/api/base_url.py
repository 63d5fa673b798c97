"""The URL of the API: the only place that decides what a base URL may be."""

import ipaddress
import re

from yarl import URL

from cxai.errors import UsageError

EXAMPLE = "https://api.elevateai.com"

THIS_MACHINE = "this machine"
"""The origin of all loopback addresses: a simulator has a different port each time."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_OWN_VERSION = "/v1"
_ANY_VERSION = re.compile(r"/v\d+\Z", re.IGNORECASE)
_RESOURCE = re.compile(r"(?:/v\d+)?/interactions(?:/|\Z)", re.IGNORECASE)


def checked_base_url(given: str) -> str:
    """Return the part before `/v1/interactions/…` of each request's URL, without a final slash.

    White space around it, a dot after the host name, capitals in scheme and host, and a final
    `/v1` are removed. Raises UsageError, without showing credentials or a query, for an invalid
    base URL, and for any scheme but https (http is allowed for loopback only).
    """
    text = given.strip()
    if "@" in text:
        raise UsageError(
            "base_url contains a user name or a password. Remove them: the API uses a token, and a"
            " proxy has its own setting (proxy)."
        )
    if text and not _SCHEME.match(text):
        raise _malformed(text, _with_scheme(text))
    try:
        url = URL(text)
        host = (url.host or "").rstrip(".")
        url = url.with_host(host)
    except ValueError:
        raise _malformed(text) from None
    if not host or any(c.isspace() for c in text) or "?" in text or "#" in text:
        raise _malformed(text)
    path = url.raw_path.rstrip("/")
    if (resource := _RESOURCE.search(path)) is not None:
        raise UsageError(
            f"base_url {_shown(text)} includes the path of a resource, but cxai adds"
            f" /v1/interactions/… to it. Use {url.origin()!s}{path[: resource.start()]}."
        )
    version = _ANY_VERSION.search(path)
    if version is not None and version[0].lower() != _OWN_VERSION:
        raise UsageError(
            f"base_url {_shown(text)} ends with {version[0]}, but cxai uses version 1 of the API."
            f" Leave the version out: {url.origin()!s}{path[: version.start()]}."
        )
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(host)):
        raise UsageError(
            f"base_url {_shown(text)} would send the API token in clear text."
            " Use https:// (http:// is allowed for loopback addresses only)."
        )
    before = path[: version.start()] if version is not None else path
    return f"{url.origin()!s}{before.rstrip('/')}"


def origin_of(base_url: str) -> str:
    """Return the API at `base_url`, for comparison and for messages."""
    checked = checked_base_url(base_url)
    return THIS_MACHINE if is_loopback(URL(checked).host or "") else checked


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _malformed(text: str, meant: str | None = None) -> UsageError:
    hint = f" Did you mean {meant}?" if meant else f" The API is at {EXAMPLE}."
    return UsageError(
        f"base_url {_shown(text)} is not of the form https://host[:port][/path].{hint}"
    )


def _shown(text: str) -> str:
    """Quote the text up to where a secret might begin."""
    return repr(re.split(r"[?#]", text, maxsplit=1)[0])


def _with_scheme(text: str) -> str | None:
    """Return the URL that a text without a scheme most likely means, None if unclear."""
    bare = re.sub(r"\A(?:https?:)?/*", "", text, flags=re.IGNORECASE)
    host = re.split(r"[:/?#]", bare, maxsplit=1)[0].rstrip(".")
    if not re.fullmatch(r"(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]+|localhost", host):
        return None
    scheme = "http" if is_loopback(host) else "https"
    rest = re.split(r"[?#]", bare, maxsplit=1)[0].rstrip("/")
    return f"{scheme}://{rest}"
