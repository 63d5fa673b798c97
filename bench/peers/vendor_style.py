"""A session, and so a connection, for each call, as the vendor's own asynchronous client does."""

import asyncio
import json
import os
import sys
from pathlib import Path

import aiohttp

from bench.peers.record import record


async def get_result(url: str, token: str) -> dict:
    """Return one result."""
    headers = {"X-API-Token": token, "Content-Type": "application/json; charset=utf-8"}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        response.raise_for_status()
        return await response.json()


async def main(ids: Path, base_url: str, out: Path) -> None:
    """Write the records of all IDs."""
    remaining = iter(ids.read_text(encoding="utf-8").split())
    token = os.environ["CXAI_API_TOKEN"]
    with out.open("w", encoding="utf-8") as file:

        async def get_some() -> None:
            for interaction_id in remaining:
                result = await get_result(f"{base_url}/v1/interactions/{interaction_id}/ai", token)
                file.write(json.dumps(record(interaction_id, result)) + "\n")

        await asyncio.gather(*[get_some() for _ in range(64)])


asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
