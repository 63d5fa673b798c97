"""Which exchange a run takes: the one place that decides."""

import aiohttp
from aiohttp.http import HttpResponseParser

from cxai.api.exchange import OpenExchange
from cxai.api.session_exchange import SessionExchange
from cxai.api.thin_exchange import ThinExchange

TESTED_AIOHTTP = ("3.14",)
"""Versions (major.minor) that the thin exchange was tested with; the locks name one of them."""


def open_exchange() -> OpenExchange:
    """Return the quicker exchange if it can be relied on here, the ordinary one otherwise."""
    return SessionExchange if why_ordinary() else ThinExchange


def why_ordinary(
    version: str = aiohttp.__version__, parser: type = HttpResponseParser
) -> str | None:
    """Return why requests have to go the ordinary, slower way; None if they need not."""
    if version.rpartition(".")[0] not in TESTED_AIOHTTP:
        tested = " and ".join(f"{each}.*" for each in TESTED_AIOHTTP)
        return f"aiohttp {version} is not one of the versions tested ({tested})"
    if parser.__module__ != "aiohttp._http_parser":
        return "aiohttp was installed without its C extensions"
    return None
