"""`python -m bench` runs, checks what it has measured, and writes its page."""

import asyncio
import gzip
import json
import re
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from support.arrivals import listening, most_within, pace
from support.certificate import CA, server_context
from support.waiting import wait_until

from bench import corpus
from bench.peers.record import record
from bench.server import answering

ROOT = Path(__file__).parents[2]


def test_a_short_run_compares_all_that_can_run_and_names_what_can_not(tmp_path):
    page = tmp_path / "page.md"
    options = ["--ids", "20", "--rounds", "1", "--output", page]
    done = subprocess.run(
        [sys.executable, "-m", "bench", "one-core", *options],
        cwd=ROOT, env={"PATH": str(tmp_path), "PYTHONPATH": "tests"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    rows = {
        cells[0]: cells[1:]
        for line in text.splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 8
    }
    assert rows["cxai run, durable, exactly once"][2] == "1.00 x"
    assert rows["bare aiohttp + uvloop, bytes discarded"][1] == "1.000"
    for client in ("pycurl + orjson", "vendor style, a session per call"):
        assert float(rows[client][1]) > 0
    assert rows["Go, net/http + encoding/json"][0] == "did not run: Go is not installed"
    assert rows["Bun, fetch + JSON"][0] == "did not run: Bun is not installed"
    assert "too few to conclude anything" in text
    assert "missed" not in text


def test_the_bodies_have_the_documented_sizes():
    sizes = [len(corpus.body(f"{number:02x}")) for number in range(64)]
    assert 22_000 < sum(sizes) / len(sizes) < 26_000
    assert max(sizes) < 80_000
    assert all(4_000 < len(corpus.body(ending, short=True)) < 6_000 for ending in ("00", "ff"))


async def test_the_server_answers_whatever_comes_first_in_the_head_but_not_without_a_token():
    arrivals, sent = [], []
    answer = answering(0, arrivals, short=True)
    line = f"GET /v1/interactions/{'0' * 34}ff/ai HTTP/1.1\r\n"
    token, brotli = "X-API-Token: made-up\r\n", "Accept-Encoding: gzip, br\r\n"
    for head in (f"{token}{brotli}", f"{brotli}{token}", token, brotli):
        answer(1.5, f"{line}{head}\r\n".encode(), sent.append)
    codings = [re.findall(rb"\r\nContent-Encoding: (\w+)", each) for each in sent]
    assert codings == [[b"br"], [b"br"], [b"gzip"], []]
    assert sent[3].startswith(b"HTTP/1.1 404 ")
    assert gzip.decompress(sent[2].partition(b"\r\n\r\n")[2]) == corpus.body("ff", short=True)
    assert arrivals == [1.5] * 4


def test_what_a_client_wrote_is_checked(tmp_path):
    ids = list(corpus.ids(10))
    asked, out = Counter(ids), tmp_path / "out"
    right = [json.dumps(record(one, json.loads(corpus.body(one[-2:])))) + "\n" for one in ids]

    out.write_text("".join(right))
    assert corpus.complaint([out], asked) is None

    for wrong, complaint in (
        (right[:-1], "wrote 9 lines, not one for each of 10 IDs"),
        ([right[1], *right[1:]], "wrote 10 lines, not one for each of 10 IDs"),
        ([right[0].replace("quartile4", "quartile5"), *right[1:]], "wrote a wrong record"),
    ):
        out.write_text("".join(wrong))
        assert corpus.complaint([out], asked).startswith(complaint)
    for wrong in ("{}\n", right[0][:-2] + "\n"):
        out.write_text(wrong)
        with pytest.raises((ValueError, KeyError)):
            corpus.complaint([out], asked)


def test_requests_count_when_the_kernel_had_them_not_when_they_were_read():
    async def lateness_s(client, arrived):
        arrived.clear()
        client.sendall(b"now")
        sent_at = time.time()
        time.sleep(0.2)  # noqa: ASYNC251 - the server is busy meanwhile
        await wait_until(lambda: arrived, "the request")
        assert client.recv(10) == b"NOW"
        return arrived[0] - sent_at

    async def least_lateness_s():
        arrived = []

        def answer(at, data, send):
            arrived.append(at)
            send(data.upper())

        with (
            listening(asyncio.get_running_loop(), answer) as port,
            socket.create_connection(("127.0.0.1", port)) as client,
        ):
            # The kernel begins to stamp a moment after it was asked to.
            return min([await lateness_s(client, arrived) for _ in range(3)])

    assert asyncio.run(least_lateness_s()) < 0.1


async def test_a_client_that_is_silent_in_its_handshake_keeps_no_other_waiting():
    def answer(_at, data, send):
        send(data.upper())

    with listening(asyncio.get_running_loop(), answer, server_context()) as port:
        with socket.create_connection(("127.0.0.1", port)):
            trusting = ssl.create_default_context(cafile=CA)
            reader, writer = await asyncio.open_connection("localhost", port, ssl=trusting)
            writer.write(b"now")
            assert await reader.readexactly(3) == b"NOW"
        writer.close()


def test_a_pace_counts_neither_start_nor_end():
    assert pace([3.0, 3.1, 3.2, 3.3], together=1) == pytest.approx(10)
    assert pace([0, 0, 1, 1, 2, 2], together=2) == pytest.approx(2)


def test_a_window_excludes_its_end():
    assert most_within([0, 0.5, 0.75, 1.0, 1.25], 1.0) == 4
    assert most_within([0, 1, 2], 1.0) == 1
