"""Chooses the exchange of a run."""

import aiohttp
from aiohttp.http import HttpResponseParser

from cxai.api.exchange import OpenExchange
from cxai.api.session_exchange import SessionExchange
from cxai.api.thin_exchange import ThinExchange
from cxai.core.events import Emit

TESTED_AIOHTTP = ("3.14",)
"""Versions (major.minor) that the thin exchange was tested with; the locks name one of them."""


def chosen_exchange(
    emit: Emit, *, version: str = aiohttp.__version__, parser: type = HttpResponseParser
) -> OpenExchange:
    """Return the thin exchange if it was tested with this aiohttp, else that of the session.

    The session takes more CPU, so `emit` is called, with an event and a reason, if it is chosen.
    """
    if version.rpartition(".")[0] not in TESTED_AIOHTTP:
        tested = " and ".join(f"{each}.*" for each in TESTED_AIOHTTP)
        reason = f"aiohttp {version} is not one of the versions tested ({tested})"
    elif parser.__module__ != "aiohttp._http_parser":
        reason = "aiohttp was installed without its C extensions"
    else:
        return ThinExchange
    emit("slower_requests", reason=reason)
    return SessionExchange
