"""The events of real runs, in the order in which they happen."""

import asyncio
import json
import socket
from types import SimpleNamespace

import pytest
from pydantic import SecretStr
from support.bodies import SAMPLE, as_body
from support.command import TOKEN, cxai, environment
from support.doubles import QueueSource
from support.raw_server import RawServer, response
from support.store import entries_of
from support.waiting import wait_until

from cxai import Settings
from cxai.app import export
from cxai.core.events import EventStream
from cxai.core.stop import StopRequest
from cxai.errors import StopCause, StopRequestedError
from cxai.policy.reply import Endpoint

QUICK = {"rate": 1_000, "backoff_base_s": 0.01, "progress": "none", "readers": "0"}


REFUSED = response(b"{}", status="401 Unauthorized")
REFUSED_HERE = "Connection refused"


@pytest.fixture
def run(tmp_path):
    """Return `await run(api, source, **settings)`: the events of an export, and its report."""

    async def run_here(api, source, *, token=TOKEN, stop=None, **settings):
        events, seen = EventStream(), []
        events.attach(seen.append)
        async with asyncio.timeout(20):
            report = await export(
                Settings(base_url=api.base_url, **{**QUICK, **settings}),
                source,
                tmp_path / "export",
                SecretStr(token),
                stop=stop,
                source_name="a queue",
                events=events,
            )
        return seen, report

    return run_here


def names(events):
    return [event.name for event in events]


async def test_a_run_begins_and_ends_with_an_event(simulated, run, guids):
    with simulated() as api:
        (started, *_, finished), report = await run(api, QueueSource(entries_of(guids(3))))
    assert (started.name, finished.name) == ("run_started", "run_finished")
    values = started.values
    assert (values["run_id"], values["source"], values["rate"]) == (report.run_id, "a queue", 1_000)
    assert values["base_url"] == api.base_url
    assert (finished.level, finished.values["exit_code"]) == ("info", 0)
    times = report.as_dict()
    assert times["started_at"] < times["ended_at"]
    assert times["schema_version"] == 1


async def test_at_level_debug_each_request_is_an_event_and_otherwise_none_is(simulated, run, guids):
    ids = guids(3)
    with simulated(missing=1.0) as api:
        quiet, _ = await run(api, QueueSource(entries_of(ids[:1])))
        seen, _ = await run(api, QueueSource(entries_of(ids)), log_level="debug")
        sent = api.stats.requests - 2
    assert "request_done" not in names(quiet)
    requests = [event.values for event in seen if event.name == "request_done"]
    assert len(requests) == sent
    assert {one["id"] for one in requests} == set(ids[1:])
    assert {one["endpoint"] for one in requests} == set(Endpoint)
    assert {one["status"] for one in requests} <= {404, 200}
    assert all(one["attempt"] >= 1 and one["ms"] >= 0 for one in requests)


async def test_a_request_without_a_reply_is_an_event_too(run, guids):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        seen, _ = await run(
            SimpleNamespace(base_url=f"http://127.0.0.1:{closed.getsockname()[1]}"),
            QueueSource(entries_of(guids(1))),
            log_level="debug",
            start_patience_s=0.05,
        )
    failed = next(event.values for event in seen if event.name == "request_done")
    assert (failed["status"], failed["bytes"], failed["failure"]) == (None, None, REFUSED_HERE)


async def test_a_token_that_is_refused_and_renewed_is_two_events_without_the_token(
    run, guids, tmp_path
):
    file, (one,) = tmp_path / "token", guids(1)
    file.write_text("canary-2")
    replies = [REFUSED], [response(as_body(SAMPLE))]
    async with RawServer(*replies) as api:
        seen, report = await run(
            api, QueueSource(entries_of([one])), token="canary-1", token_file=file,  # noqa: S106
        )  # fmt: skip
    assert report.exit_code == 0
    about = [event for event in seen if event.name.startswith("token_")]
    assert [(event.name, event.level) for event in about] == [
        ("token_refused", "warning"),
        ("token_renewed", "info"),
    ]
    assert "401" in about[0].values["cause"]
    assert "canary" not in str(seen)


async def test_a_token_that_is_refused_and_not_renewed_ends_the_run(run, guids):
    async with RawServer([REFUSED]) as api:
        seen, report = await run(api, QueueSource(entries_of(guids(1))))
    assert report.exit_code == 3
    assert names(seen) == ["run_started", "token_refused", "run_finished"]
    assert (seen[-1].level, seen[-1].values["exit_code"]) == ("error", 3)


@pytest.mark.promise(
    "SIGTERM ends a run over a queue that has nothing open",
    "code 4 as for every stop, and no error in the log: that is how such a run ends",
    group="Queues",
)
@pytest.mark.parametrize(("is_settled", "level"), [(True, "info"), (False, "error")])
async def test_the_stop_of_an_endless_run_is_an_error_only_if_something_is_open(
    simulated, run, guids, is_settled, level
):
    stop = StopRequest()
    with simulated(latency_s=0.0 if is_settled else 60.0) as api:
        source = QueueSource(entries_of(guids(3)), is_endless=True)
        grace_s = 10.0 if is_settled else 0.0
        running = asyncio.create_task(run(api, source, stop=stop, grace_s=grace_s))
        await wait_until(lambda: api.stats.requests == 3, "its requests")
        if is_settled:
            await wait_until(lambda: api.stats.by_status[200] == 3, "its replies")
        stop.make(StopRequestedError("SIGTERM", StopCause.SIGNAL))
        seen, report = await running
    assert report.exit_code == 4
    assert (report.tally.open == 0) == is_settled
    assert (seen[-1].name, seen[-1].level) == ("run_finished", level)


# --- an internal error ---

CRASH = f"""
import cxai.inspect.status

def crash(_path):
    raise ValueError("a value with {TOKEN}")

cxai.inspect.status.export_status = crash
"""


@pytest.mark.promise(
    "An internal error, with `CXAI_DEBUG=1`",
    "a traceback on standard error, without the token; else one sentence",
    group="Exit",
)
def test_an_internal_error_has_a_traceback_only_when_debugging(tmp_path):
    plain = cxai("status", tmp_path, first=CRASH)
    debugging = cxai("status", tmp_path, first=CRASH, env=environment(CXAI_DEBUG="1"))
    assert plain.code == debugging.code == 70
    assert plain.err.startswith("cxai: Internal error: ValueError in")
    assert plain.err.count("\n") == 1
    assert "Traceback (most recent call last)" in debugging.err
    assert "ValueError: a value with [token]" in debugging.err
    assert TOKEN not in plain.err + debugging.err


def test_the_traceback_of_an_internal_error_is_a_field_where_the_log_is_json(tmp_path):
    env = environment(CXAI_DEBUG="1", CXAI_LOG_FORMAT="json")
    (line,) = cxai("status", tmp_path, first=CRASH, env=env).err.splitlines()
    event = json.loads(line)
    assert (event["event"], event["exit_code"]) == ("run_crashed", 70)
    assert "ValueError: a value with [token]" in event["traceback"]
