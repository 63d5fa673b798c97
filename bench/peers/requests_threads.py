"""requests, one session, 32 threads."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter

from bench.peers.record import record

THREADS = 32


def main(ids: Path, base_url: str, out: Path) -> None:
    """Write the records of all IDs."""
    session = requests.Session()
    session.headers["X-API-Token"] = os.environ["CXAI_API_TOKEN"]
    session.mount("http://", HTTPAdapter(pool_maxsize=THREADS))

    def line(interaction_id: str) -> str:
        response = session.get(f"{base_url}/v1/interactions/{interaction_id}/ai", timeout=60)
        response.raise_for_status()
        return json.dumps(record(interaction_id, response.json())) + "\n"

    with out.open("w", encoding="utf-8") as file, ThreadPoolExecutor(THREADS) as pool:
        file.writelines(pool.map(line, ids.read_text(encoding="utf-8").split()))


main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
