"""`python -m bench` runs, checks what it has measured, and writes its page."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import corpus, outcome, stamps
from bench.arrivals import most_within, pace
from bench.measurement import FailedRunError
from bench.peers.record import record

ROOT = Path(__file__).parents[2]


def test_a_short_run_compares_all_that_can_run_and_names_what_can_not(tmp_path):
    page = tmp_path / "page.md"
    done = subprocess.run(
        [
            sys.executable, "-m", "bench", "throughput", "--ids", "60", "--rounds", "1",
            "--server", "own", "--peers", "vendor", "go", "curl",
            "--scratch", tmp_path, "--output", page,
        ],
        cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = {
        cells[0]: cells[1:]
        for line in page.read_text(encoding="utf-8").splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 8
    }
    assert rows["cxai run, full promise"][0] == "60"
    assert rows["bare aiohttp + uvloop, bytes discarded"][2] == "1.000"
    assert float(rows["vendor style, aiohttp session per call"][2]) > 0
    assert rows["Go, net/http + encoding/json"][0] == "did not run: go is not installed"
    assert rows["curl --parallel + jq"][0] == "did not run: curl is not installed"
    assert "too few to conclude anything" in page.read_text(encoding="utf-8")
    assert sorted(tmp_path.iterdir()) == [page]


@pytest.fixture(scope="module")
def bodies(tmp_path_factory):
    directory = tmp_path_factory.mktemp("bench") / "corpus"
    corpus.write(directory)
    return directory


def test_the_bodies_have_the_documented_sizes(bodies):
    sizes = sorted(file.stat().st_size for file in bodies.glob("*.json"))
    short, medium, long = sizes[:78], sizes[78:206], sizes[206:]  # 30, 50 and 20 %
    assert max(short) < 6_000
    assert min(medium) > 17_000
    assert max(medium) < 23_000
    assert min(long) > 50_000
    assert max(long) < 70_000


def test_what_a_client_wrote_is_checked(bodies, tmp_path):
    ids = list(corpus.ids(10))
    asked, out = tmp_path / "ids.txt", tmp_path / "out"
    asked.write_text("\n".join(ids))
    right = [json.dumps(record(one, corpus.body(bodies, one))) + "\n" for one in ids]

    out.write_text("".join(right))
    outcome.check([out], asked, bodies)

    for wrong, complaint in (
        (right[:-1], "wrote 9 lines, not one for each of 10 IDs"),
        ([right[1], *right[1:]], "wrote 10 lines, not one for each of 10 IDs"),
        ([right[0].replace("quartile4", "quartile5"), *right[1:]], "wrote a wrong record"),
        (["{}\n", *right[1:]], "wrote a line without an ID"),
        ([right[0][:-2] + "\n", *right[1:]], "wrote a line that is no JSON"),
    ):
        out.write_text("".join(wrong))
        with pytest.raises(FailedRunError, match=complaint):
            outcome.check([out], asked, bodies)


def test_requests_count_when_the_kernel_had_them_not_when_they_were_read():
    async def late():
        arrived, read = [], asyncio.Event()

        def answer(at, data, send):
            arrived.append(at)
            send(data.upper())
            read.set()

        with (
            stamps.listening(asyncio.get_running_loop(), answer) as port,
            socket.create_connection(("127.0.0.1", port)) as client,
        ):
            client.sendall(b"now")
            sent_at = time.time()
            time.sleep(0.2)  # noqa: ASYNC251 - the server is busy meanwhile
            async with asyncio.timeout(10):
                await read.wait()
            return arrived[0] - sent_at, client.recv(10)

    lateness_s, answered = asyncio.run(late())
    assert lateness_s < 0.1
    assert answered == b"NOW"


def test_a_pace_counts_neither_start_nor_end():
    assert pace([3.0, 3.1, 3.2, 3.3], together=1) == pytest.approx(10)
    assert pace([0, 0, 1, 1, 2, 2], together=2) == pytest.approx(2)


def test_a_window_excludes_its_end():
    assert most_within([0, 0.5, 0.75, 1.0, 1.25], 1.0) == 4
    assert most_within([0, 1, 2], 1.0) == 1
