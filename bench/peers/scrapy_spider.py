"""A Scrapy spider with a JSON Lines feed."""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import scrapy
from scrapy.crawler import CrawlerProcess
from scrapy.http import Response

from bench.peers.record import record

IDS, BASE_URL, OUT = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])


class Results(scrapy.Spider):
    """Asks for the results of all IDs."""

    name = "results"

    async def start(self) -> AsyncIterator[scrapy.Request]:
        """Yield a request for each ID."""
        headers = {"X-API-Token": os.environ["CXAI_API_TOKEN"]}
        for interaction_id in IDS.read_text(encoding="utf-8").split():
            yield scrapy.Request(
                f"{BASE_URL}/v1/interactions/{interaction_id}/ai",
                headers=headers,
                cb_kwargs={"interaction_id": interaction_id},
            )

    def parse(self, response: Response, interaction_id: str) -> Iterator[dict[str, Any]]:
        """Yield the record of a result."""
        yield record(interaction_id, response.json())


process = CrawlerProcess(
    {
        "FEEDS": {OUT: {"format": "jsonlines"}},
        "CONCURRENT_REQUESTS": 64,
        "CONCURRENT_REQUESTS_PER_DOMAIN": 64,
        "DOWNLOAD_DELAY": 0,
        "COOKIES_ENABLED": False,
        "ROBOTSTXT_OBEY": False,
        "TELNETCONSOLE_ENABLED": False,
        "LOG_LEVEL": "WARNING",
    }
)
process.crawl(Results)
process.start()
