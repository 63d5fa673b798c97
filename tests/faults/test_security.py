"""The token goes to the API and nowhere else; what is written is its owner's alone."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.command import TOKEN, cxai, environment
from support.leftovers import SCENARIO, assert_refused, go_on
from support.running import end_input, ended, running
from support.store import run_finished, run_killed
from support.waiting import wait_until_blocking

from cxai.ledger.distinct import DistinctKeys

# --- the token ---


@pytest.mark.promise(
    "The token, in a run with every kind of trouble",
    "in no output, log line, ledger, progress file, record or command line",
)
def test_the_token_is_nowhere_but_in_the_request(simulated, export, ids):
    chatty = {"CXAI_PROGRESS_S": "0.05", "CXAI_BATCH": "5", "CXAI_BACKOFF_BASE_S": "0.01"}
    with simulated(latency_s=0.1, missing=0.2, garbled=0.1, erring=0.1, corrupt=0.1) as api:
        env = environment(**chatty)
        with running(api, export, ids, "--max-failed", "1", env=env, forks=None) as process:
            wait_until_blocking(lambda: api.stats.in_flight > 0, "requests")
            command_line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            during = everything_in(export)
            code, out, errors = ended(process)
        verified = cxai("verify", export)
        known = cxai("status", export)
    assert code == 0, errors
    assert "progress" in errors
    told = [out, errors, verified.out, verified.err, known.out, known.err]
    texts = [command_line, *during, *everything_in(export), *(text.encode() for text in told)]
    assert not [text for text in texts if TOKEN.encode() in text]


@pytest.mark.promise("The token, when the network fails", "in nothing that is told of it")
@pytest.mark.parametrize("base_url", ["http://127.0.0.1:9", "https://nonexistent.invalid"])
def test_the_token_is_not_in_what_is_told_of_a_fault(base_url, export, ids):
    done = cxai(
        "run", "-o", export, "--base-url", base_url, stdin=ids[0].encode(),
        env=environment(CXAI_OUTAGE_PATIENCE_S="0"),
    )  # fmt: skip
    assert done.code == 4
    texts = [done.out.encode(), done.err.encode(), *everything_in(export)]
    assert not [text for text in texts if TOKEN.encode() in text]


def everything_in(directory):
    return [path.read_bytes() for path in directory.rglob("*") if path.is_file()]


# A fault of ours that carries the token in its message and its locals.
FAULTY = """
import os
from cxai.core.pipeline import Pipeline

async def run(self):
    token = os.environ["CXAI_API_TOKEN"]
    raise RuntimeError(token, {"X-API-Token": token})
Pipeline.run = run
"""


@pytest.mark.promise(
    "The token, when cxai itself fails",
    "code 70, where it happened, and no traceback that could show it",
)
def test_the_token_is_not_in_what_is_told_of_a_fault_of_ours(api, export, ids):
    done = go_on(api, export, ids, first=FAULTY)
    assert done.code == 70
    assert "Internal error: RuntimeError" in done.err
    assert "Traceback" not in done.err
    texts = [done.out.encode(), done.err.encode(), *everything_in(export)]
    assert not [text for text in texts if TOKEN.encode() in text]


@pytest.mark.promise("A token with a line break in it", "refused with code 2; nothing is sent")
@pytest.mark.parametrize("end", ["\nX-Evil: 1", "\rX"])
def test_a_token_that_would_break_a_header_is_refused(api, export, ids, end):
    done = go_on(api, export, ids, env=environment(CXAI_API_TOKEN=TOKEN + end))
    assert done.code == 2
    assert "which no header may hold" in done.err
    assert TOKEN not in done.out + done.err
    assert api.stats.requests == 0


@pytest.mark.promise(
    "Plain HTTP to any host but this machine", "refused with code 2; nothing is sent"
)
def test_a_token_is_not_sent_in_clear_text(export, ids):
    done = go_on(SimpleNamespace(base_url="http://api.elevateai.com"), export, ids)
    assert done.code == 2
    assert "the API token in clear text" in done.err


# --- files ---


@pytest.mark.promise(
    "A part has become a symbolic link",
    "the start is refused; what the link leads to is left alone",
)
@pytest.mark.parametrize("sealed", [False, True])
def test_a_part_that_became_a_symbolic_link_is_refused(api, export, ids, sealed, tmp_path):
    (run_finished if sealed else run_killed)(export, ids[:30], SCENARIO)
    name = "records-000001.jsonl" if sealed else "records-000001.jsonl.open"
    elsewhere = tmp_path / "elsewhere"
    (export / name).rename(elsewhere)
    (export / name).symlink_to(elsewhere)
    content = elsewhere.read_bytes()
    assert_refused(api, export, ids, f"{export / name} ")
    assert elsewhere.read_bytes() == content


@pytest.mark.promise(
    "A symbolic link waits where a part would be written", "refused; nothing is written through it"
)
def test_a_part_is_not_written_through_a_symbolic_link(api, export, ids, tmp_path):
    run_killed(export, [], SCENARIO)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    (export / "records-000001.jsonl.open").symlink_to(elsewhere)
    assert_refused(api, export, ids, "records-000001.jsonl.open can't be opened")
    assert elsewhere.read_bytes() == b"precious"


@pytest.mark.promise(
    "Other users of the machine, and any umask",
    "files are 0600 and directories 0700, from their creation on",
)
def test_what_a_run_writes_is_its_owners_alone_whatever_the_umask(api, export, ids):
    each = environment(CXAI_BATCH="1")
    with running(api, export, ids, input_ends=False, env=each, umask=0) as run:
        wait_until_blocking(lambda: list(export.glob("records-*.open")), "the first part")
        modes = modes_in(export)
        assert {".lock", "ledger.sqlite", "records-000001.jsonl.open"} <= set(modes)
        end_input(run)
        ended(run)
        modes |= modes_in(export)
    assert {"manifest.json", "records-000001.jsonl"} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(export.stat().st_mode) == 0o700


def test_the_scratch_file_of_settled_ids_is_its_owners_alone_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        with DistinctKeys(tmp_path) as settled:
            settled.add(b"key")
            assert modes_in(tmp_path) == {".seen": 0o600}
    finally:
        os.umask(before)


def modes_in(directory):
    found = {}
    for path in directory.iterdir():
        with suppress(FileNotFoundError):  # the run goes on meanwhile
            found[path.name] = stat.S_IMODE(path.stat().st_mode)
    return found
