"""aiohttp in three ways: `aiohttp_client.py bare|plain|vendor IDS BASE_URL OUT`.

bare: uvloop, one session, the bytes thrown away, which is what HTTP alone costs in Python.
plain: one session and the library's defaults, as most people write it.
vendor: a session, and so a connection, for each call, as the vendor's own client does.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

import aiohttp
from yarl import URL

from bench.peers.record import record

IN_FLIGHT = int(os.environ["IN_FLIGHT"])
HEADERS = {"X-API-Token": os.environ["CXAI_API_TOKEN"]}

Session = aiohttp.ClientSession


async def for_each(ids: list[str], do: Callable[[str], Awaitable[None]]) -> None:
    """Do something for all IDs, as many at a time as may be in flight."""
    remaining = iter(ids)

    async def some() -> None:
        for interaction_id in remaining:
            await do(interaction_id)

    await asyncio.gather(*[some() for _ in range(IN_FLIGHT)])


async def bare(ids: list[str], base_url: str) -> None:
    """Get the bytes of all results."""
    async with Session(
        auto_decompress=False,
        connector=aiohttp.TCPConnector(limit=IN_FLIGHT),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={**HEADERS, "Accept-Encoding": "br"},
    ) as session:

        async def get(interaction_id: str) -> None:
            url = URL(f"{base_url}/v1/interactions/{interaction_id}/ai", encoded=True)
            async with session.get(url) as response:
                response.raise_for_status()
                await response.read()

        await for_each(ids, get)


async def records(
    ids: list[str],
    base_url: str,
    out: Path,
    session_of: Callable[[], AbstractAsyncContextManager[Session]],
) -> None:
    """Write the records of all IDs."""
    with out.open("w", encoding="utf-8") as file:

        async def get(interaction_id: str) -> None:
            url = f"{base_url}/v1/interactions/{interaction_id}/ai"
            async with session_of() as session, session.get(url) as response:
                response.raise_for_status()
                result = await response.json()
            file.write(json.dumps(record(interaction_id, result)) + "\n")

        await for_each(ids, get)


async def plain(ids: list[str], base_url: str, out: Path) -> None:
    """Write the records of all IDs, by one session."""
    async with Session(headers=HEADERS) as session:
        await records(ids, base_url, out, lambda: nullcontext(session))


style, ids_file, base_url, out = sys.argv[1:]
ids = Path(ids_file).read_text(encoding="utf-8").split()
if style == "bare":
    import uvloop

    uvloop.run(bare(ids, base_url))
elif style == "plain":
    asyncio.run(plain(ids, base_url, Path(out)))
else:
    asyncio.run(records(ids, base_url, Path(out), lambda: Session(headers=HEADERS)))
