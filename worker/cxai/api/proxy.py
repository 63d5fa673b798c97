"""The proxy that stands between this machine and the API, if a setting names one."""

import os
from dataclasses import dataclass

from yarl import URL

from cxai.core.secret_str import SecretStr
from cxai.errors import UsageError

SETTING = "proxy (CXAI_PROXY)"

_VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that tunnels (CONNECT). `shown` is its place; `url` may hold credentials."""

    url: SecretStr
    shown: str


def checked_proxy(given: SecretStr) -> Proxy:
    """Return the proxy that `given` names: http://[user:password@]host:port.

    Raises UsageError that shows nothing of it for anything else.
    """
    text = given.get_secret_value().strip()
    try:
        url = URL(text)
        host, port = url.host, url.explicit_port
    except ValueError:
        url, host, port = URL(), None, None
    if url.scheme in ("https", "socks4", "socks5", "socks5h"):
        raise UsageError(
            f"{SETTING} begins with {url.scheme}://, which is not supported. Name a proxy that is"
            " spoken to by plain HTTP: http://host:port (what passes through it is encrypted)."
        )
    if url.scheme != "http" or not host or port is None or url.path not in ("", "/"):
        raise UsageError(
            f"{SETTING} is not of the form http://host:port or http://user:password@host:port."
            " (It is not shown here, since it may hold a password.)"
        )
    if url.query_string or url.fragment:
        raise UsageError(f"{SETTING} has something behind its port: http://host:port is all.")
    return Proxy(SecretStr(text.rstrip("/")), f"{'[' + host + ']' if ':' in host else host}:{port}")


def unused_proxy_variable() -> str | None:
    """Return the name of a variable that names a proxy for others, None if none is set."""
    return next((name for name in _VARIABLES if os.environ.get(name)), None)
