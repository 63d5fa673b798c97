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
multi, idle = pycurl.CurlMulti(), [pycurl.Curl() for _ in range(int(os.environ["IN_FLIGHT"]))]
for curl in idle:
    curl.setopt(pycurl.HTTPHEADER, [f"X-API-Token: {os.environ['CXAI_API_TOKEN']}"])
    curl.setopt(pycurl.ACCEPT_ENCODING, "br")
    curl.setopt(pycurl.FAILONERROR, 1)

with Path(out).open("wb") as file:
    under_way = done = True
    while under_way or done:
        while idle and (interaction_id := next(remaining, None)):
            curl = idle.pop()
            curl.interaction_id, curl.body = interaction_id, BytesIO()
            curl.setopt(pycurl.URL, f"{base_url}/v1/interactions/{interaction_id}/ai")
            curl.setopt(pycurl.WRITEDATA, curl.body)
            multi.add_handle(curl)
        _, under_way = multi.perform()
        _, done, failed = multi.info_read()
        for curl, _, message in failed:
            sys.exit(f"{curl.interaction_id}: {message}")
        for curl in done:
            line = record(curl.interaction_id, orjson.loads(curl.body.getbuffer()))
            file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            multi.remove_handle(curl)
            idle.append(curl)
        if under_way and not done:
            multi.select(1.0)
