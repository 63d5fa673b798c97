"""Where results come from: one name for each API, however its address is written."""

import ipaddress

from yarl import URL

THIS_MACHINE = "this machine"
"""Any loopback address: a simulator has another port each time."""


def origin_of(base_url: str) -> str:
    """Return the API that `base_url` leads to, for comparison and for people.

    Case, a default port, a dot behind the host, a slash at the end and the version `/v1` make no
    difference, and neither does the port of a loopback address. User and password are left out.
    """
    url = URL(base_url.strip())
    host = (url.host or "").lower().rstrip(".")
    if _is_loopback(host):
        return THIS_MACHINE
    path = url.path.rstrip("/").removesuffix("/v1").rstrip("/")
    port = "" if url.port is None or url.is_default_port() else f":{url.port}"
    shown = f"[{host}]" if ":" in host else host
    return f"{url.scheme.lower()}://{shown}{port}{path}"


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
