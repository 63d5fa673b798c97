"""aiohttp and uvloop at their best, the bytes thrown away: what HTTP alone costs in Python."""

import asyncio
import os
import sys
from pathlib import Path

import aiohttp
import uvloop
from yarl import URL


async def main(ids: Path, base_url: str) -> None:
    """Get the bytes of all results."""
    remaining = iter(ids.read_text(encoding="utf-8").split())
    async with aiohttp.ClientSession(
        auto_decompress=False,
        connector=aiohttp.TCPConnector(limit=64),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"X-API-Token": os.environ["CXAI_API_TOKEN"], "Accept-Encoding": "br"},
    ) as session:

        async def get_some() -> None:
            for interaction_id in remaining:
                url = URL(f"{base_url}/v1/interactions/{interaction_id}/ai", encoded=True)
                async with session.get(url) as response:
                    response.raise_for_status()
                    await response.read()

        await asyncio.gather(*[get_some() for _ in range(64)])


uvloop.run(main(Path(sys.argv[1]), sys.argv[2]))
