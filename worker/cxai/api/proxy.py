"""The proxy between this machine and the API, if a setting names one."""

import os
from dataclasses import dataclass

from yarl import URL

from cxai.core.secret_str import SecretStr
from cxai.errors import UsageError

SETTING = "proxy (CXAI_PROXY)"

_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A tunnelling proxy (CONNECT). `shown` is its host and port; `url` may contain credentials."""

    url: SecretStr
    shown: str


def checked_proxy(given: SecretStr) -> Proxy:
    """Return the proxy at `given`, http://[user:password@]host:port.

    Raises UsageError, which shows nothing of it, for anything else.
    """
    text = given.get_secret_value().strip()
    try:
        url = URL(text)
        host, port = url.host, url.explicit_port
    except ValueError:
        url, host, port = URL(), None, None
    if url.scheme in ("https", "socks4", "socks5", "socks5h"):
        raise UsageError(
            f"{SETTING} starts with {url.scheme}://, which is not supported. Name an HTTP proxy:"
            " http://host:port (requests through it are encrypted end to end)."
        )
    if url.scheme != "http" or not host or port is None or url.path not in ("", "/"):
        raise UsageError(
            f"{SETTING} is not of the form http://host:port or http://user:password@host:port."
            " (It is not shown here, since it may contain a password.)"
        )
    if url.query_string or url.fragment:
        raise UsageError(f"{SETTING} has extra text after its port. Use http://host:port.")
    return Proxy(SecretStr(text.rstrip("/")), f"{'[' + host + ']' if ':' in host else host}:{port}")


def unused_proxy_variable() -> str | None:
    """Return the name of a proxy variable that other programs use, None if none is set."""
    return next((name for name in _VARIABLES if os.environ.get(name)), None)
