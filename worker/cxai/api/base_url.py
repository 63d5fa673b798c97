"""Where the API is: the one place that decides what may be a base URL."""

import ipaddress
import re

from yarl import URL

from cxai.errors import UsageError

EXAMPLE = "https://api.elevateai.com"

THIS_MACHINE = "this machine"
"""The origin of all loopback addresses: a simulator has another port each time."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_OWN_VERSION = "/v1"
_ANY_VERSION = re.compile(r"/v\d+\Z", re.IGNORECASE)
_RESOURCE = re.compile(r"(?:/v\d+)?/interactions(?:/|\Z)", re.IGNORECASE)


def checked_base_url(given: str) -> str:
    """Return what stands before `/v1/interactions/…` in each request, without a slash at its end.

    White space around it, a dot after the host name, capitals in scheme and host, and a final
    `/v1` change nothing. Raises UsageError, without showing credentials or a query, for what is no
    base URL, and for anything but https (http is allowed to loopback alone).
    """
    text = given.strip()
    if "@" in text:
        raise UsageError(
            "base_url holds a user name or a password. Take them out: the API needs none, and a"
            " proxy has a setting of its own (proxy)."
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
            f"base_url {_shown(text)} leads to a resource of the API, and cxai itself adds"
            f" /v1/interactions/…. Name the API: {url.origin()!s}{path[: resource.start()]}."
        )
    version = _ANY_VERSION.search(path)
    if version is not None and version[0].lower() != _OWN_VERSION:
        raise UsageError(
            f"base_url {_shown(text)} ends with {version[0]}, but cxai speaks version 1 of the API."
            f" Leave the version out: {url.origin()!s}{path[: version.start()]}."
        )
    if url.scheme != "https" and not (url.scheme == "http" and is_loopback(host)):
        raise UsageError(
            f"base_url {_shown(text)} would send the API token in clear text."
            " Use https:// (http:// is allowed to loopback addresses alone)."
        )
    before = path[: version.start()] if version is not None else path
    return f"{url.origin()!s}{before.rstrip('/')}"


def origin_of(base_url: str) -> str:
    """Return the API that `base_url` leads to, for comparison and for people."""
    checked = checked_base_url(base_url)
    return THIS_MACHINE if is_loopback(URL(checked).host or "") else checked


def is_loopback(host: str) -> bool:
    """Whether a host, a name or an address, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _malformed(text: str, meant: str | None = None) -> UsageError:
    hint = f" Did you mean {meant}?" if meant else f" The API's own is {EXAMPLE}."
    return UsageError(
        f"base_url {_shown(text)} is not of the form https://host[:port][/path].{hint}"
    )


def _shown(text: str) -> str:
    """Quote it up to where something secret might begin."""
    return repr(re.split(r"[?#]", text, maxsplit=1)[0])


def _with_scheme(text: str) -> str | None:
    """Return what a text without a scheme most likely means, None if that can't be told."""
    bare = re.sub(r"\A(?:https?:)?/*", "", text, flags=re.IGNORECASE)
    host = re.split(r"[:/?#]", bare, maxsplit=1)[0].rstrip(".")
    if not re.fullmatch(r"(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]+|localhost", host):
        return None
    scheme = "http" if is_loopback(host) else "https"
    rest = re.split(r"[?#]", bare, maxsplit=1)[0].rstrip("/")
    return f"{scheme}://{rest}"
