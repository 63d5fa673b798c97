"""libcurl and orjson: the fastest that Python gets without more of its own code."""

import os
import sys
from io import BytesIO
from pathlib import Path

import orjson
import pycurl

from bench.peers.record import record

ids_file, base_url, out = sys.argv[1:]
remaining = iter(Path(ids_file).read_text(encoding="utf-8").split())
multi = pycurl.CurlMulti()


def ask(curl: pycurl.Curl) -> bool:
    """Ask for the next result, if there is one."""
    curl.interaction_id, curl.body = next(remaining, None), BytesIO()
    if curl.interaction_id is not None:
        curl.setopt(pycurl.URL, f"{base_url}/v1/interactions/{curl.interaction_id}/ai")
        curl.setopt(pycurl.WRITEDATA, curl.body)
        multi.add_handle(curl)
    return curl.interaction_id is not None


with Path(out).open("wb") as file:
    under_way = 0
    for _ in range(int(os.environ["IN_FLIGHT"])):
        curl = pycurl.Curl()
        curl.setopt(pycurl.HTTPHEADER, [f"X-API-Token: {os.environ['CXAI_API_TOKEN']}"])
        curl.setopt(pycurl.ACCEPT_ENCODING, "br")
        curl.setopt(pycurl.FAILONERROR, 1)
        under_way += ask(curl)
    while under_way:
        multi.perform()
        _, done, failed = multi.info_read()
        for curl, _, message in failed:
            sys.exit(f"{curl.interaction_id}: {message}")
        for curl in done:
            line = record(curl.interaction_id, orjson.loads(curl.body.getbuffer()))
            file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            multi.remove_handle(curl)
            under_way += ask(curl) - 1
        if not done:
            multi.select(1.0)
