"""aiohttp in three ways: `aiohttp_client.py bare|plain|vendor IDS BASE_URL OUT`.

bare: uvloop, one session, the bytes thrown away, which is what HTTP alone costs in Python.
plain: one session and the library's defaults, as most people write it.
vendor: a session, and so a connection, for each call, as the vendor's own client does.
"""

import asyncio
import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TextIO

import aiohttp
import uvloop
from yarl import URL

from bench.peers.record import record

IN_FLIGHT = int(os.environ["IN_FLIGHT"])
HEADERS = {"X-API-Token": os.environ["CXAI_API_TOKEN"]}
IDS = iter(Path(sys.argv[2]).read_text(encoding="utf-8").split())
BASE_URL = f"{sys.argv[3]}/v1/interactions"


async def bare() -> None:
    """Get the bytes of all results."""
    async with aiohttp.ClientSession(
        auto_decompress=False,
        connector=aiohttp.TCPConnector(limit=IN_FLIGHT),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={**HEADERS, "Accept-Encoding": "br"},
    ) as session:

        async def some() -> None:
            for interaction_id in IDS:
                url = URL(f"{BASE_URL}/{interaction_id}/ai", encoded=True)
                async with session.get(url) as response:
                    response.raise_for_status()
                    await response.read()

        await asyncio.gather(*[some() for _ in range(IN_FLIGHT)])


async def records(file: TextIO, *, session_per_call: bool) -> None:
    """Write the records of all results."""
    async with aiohttp.ClientSession(headers=HEADERS) as shared:

        async def some() -> None:
            for interaction_id in IDS:
                its = aiohttp.ClientSession(headers=HEADERS) if session_per_call else None
                url = f"{BASE_URL}/{interaction_id}/ai"
                async with its or nullcontext(shared) as session, session.get(url) as response:
                    response.raise_for_status()
                    result = await response.json()
                file.write(json.dumps(record(interaction_id, result)) + "\n")

        await asyncio.gather(*[some() for _ in range(IN_FLIGHT)])


if sys.argv[1] == "bare":
    uvloop.run(bare())
else:
    with Path(sys.argv[4]).open("w", encoding="utf-8") as out:
        asyncio.run(records(out, session_per_call=sys.argv[1] == "vendor"))
