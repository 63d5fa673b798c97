"""aiohttp as most people write it: one session, the library's defaults, json."""

import asyncio
import json
import os
import sys
from pathlib import Path

import aiohttp

from bench.peers.record import record


async def main(ids: Path, base_url: str, out: Path) -> None:
    """Write the records of all IDs."""
    remaining = iter(ids.read_text(encoding="utf-8").split())
    headers = {"X-API-Token": os.environ["CXAI_API_TOKEN"]}
    with out.open("w", encoding="utf-8") as file:
        async with aiohttp.ClientSession(headers=headers) as session:

            async def get_some() -> None:
                for interaction_id in remaining:
                    url = f"{base_url}/v1/interactions/{interaction_id}/ai"
                    async with session.get(url) as response:
                        response.raise_for_status()
                        result = await response.json()
                    file.write(json.dumps(record(interaction_id, result)) + "\n")

            await asyncio.gather(*[get_some() for _ in range(64)])


asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
