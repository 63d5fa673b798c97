"""An export from a program: the same run, and nothing of the process is changed."""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.command import TOKEN, environment, rows
from support.waiting import PATIENCE_S, wait_until

import cxai
from cxai import IntegrityError, Settings, StopRequest, UsageError, Verdict, export
from cxai.errors import StopCause, StoppedError

ROOT = Path(__file__).parents[2]
QUICK = {"rate": 1_000, "backoff_base_s": 0.01, "recheck_s": 0.05}


@pytest.fixture
def ids_txt(tmp_path, guids):
    """Return a file of 20 IDs."""
    path = tmp_path / "ids.txt"
    path.write_text("\n".join(guids(20)))
    return path


def example(page, number=0):
    """Return a Python example of a page."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)[number]


def defined_by(program):
    """Return what a program has defined once it has run."""
    names = {}
    exec(program, names)  # noqa: S102 - our own page
    return names


def settings_for(api, **more):
    return Settings(base_url=api.base_url, **{**QUICK, **more})


async def test_an_export_is_one_call_and_its_report_says_how_it_ended(simulated, tmp_path, ids_txt):
    with simulated() as api:
        report = await export(settings_for(api), ids_txt, tmp_path / "export", token=TOKEN)
    assert report.exit_code == 0
    assert report.ending.headline == "Finished: 20 of 20 IDs completed."
    assert report.tally.verdicts == {Verdict.OK: 20}
    assert len(rows(tmp_path / "export")) == 20


async def test_the_same_call_resumes(simulated, tmp_path, ids_txt):
    with simulated() as api:
        for _ in range(2):
            report = await export(settings_for(api), [ids_txt], tmp_path / "export", token=TOKEN)
        assert api.stats.requests == 20
    assert (report.exit_code, report.tally.settled_before) == (0, 20)


async def test_a_source_of_ones_own_yields_lists_of_entries(simulated, tmp_path, guids):
    page = defined_by(example("docs/library.md", 3))
    ids = [*guids(3), "../status"]
    with simulated() as api:
        report = await export(
            settings_for(api), page["Listed"](ids), tmp_path / "export", token=TOKEN
        )
    assert report.tally.verdicts == {Verdict.OK: 3}
    assert report.tally.invalid == 1


# --- refused ---


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"token": ""}, "the token given is empty"),
        ({"token": None}, "give a token"),
        ({"token": "two words"}, "white space"),
        ({"source": "nowhere.txt"}, "nowhere.txt"),
        ({"source": []}, "name at least one file"),
        ({"output": f"exports-{TOKEN}"}, "holds the API token"),
        ({"output": ""}, "The output directory is empty"),
        ({"source": None}, "can't be of type NoneType"),
        ({"source": {"ids.txt"}}, "can't be of type set"),
        ({"source": b"ids.txt"}, "can't be of type bytes"),
        ({"source": [1, 2]}, "can't be of type list"),
        ({"source": (one for one in ["ids.txt"])}, "can't be of type generator"),
        ({"stop": threading.Event()}, "can't be of type Event: give an asyncio.Event"),
        ({"stop": True}, "can't be of type bool"),
    ],
)
async def test_what_can_not_be_used_raises_and_leaves_nothing_behind(
    simulated, tmp_path, ids_txt, monkeypatch, how, says
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CXAI_API_TOKEN", TOKEN)  # which no program has asked for
    arguments = {"source": ids_txt, "output": "export", "token": TOKEN, **how}
    with simulated() as api, pytest.raises(UsageError, match=says):
        await export(settings_for(api), **arguments)
    assert api.stats.requests == 0
    assert list(tmp_path.iterdir()) == [ids_txt]


async def test_files_that_contradict_the_ledger_raise_before_the_first_request(
    simulated, tmp_path, ids_txt
):
    with simulated() as api:
        await export(settings_for(api), ids_txt, tmp_path / "export", token=TOKEN)
        (tmp_path / "export" / "records-000001.jsonl").unlink()
        with pytest.raises(IntegrityError, match="records-000001"):
            await export(settings_for(api), ids_txt, tmp_path / "export", token=TOKEN)
        assert api.stats.requests == 20


def test_settings_of_a_program_do_not_depend_on_the_environment(monkeypatch):
    monkeypatch.setenv("CXAI_RATE", "0.001")
    monkeypatch.setenv("CXAI_CONFIG", "nowhere.toml")
    assert Settings(in_flight=3).rate == 5.0
    with pytest.raises(ValueError, match="rate"):
        Settings(rate=0)


# --- stopped early ---


@pytest.mark.parametrize("kind", [asyncio.Event, StopRequest])
async def test_a_run_that_its_caller_ends_early_is_reported_and_resumes(
    simulated, tmp_path, ids_txt, kind
):
    stop = kind()
    with simulated(latency_s=0.05) as api:
        settings = settings_for(api, in_flight=2)
        run = asyncio.create_task(
            export(settings, ids_txt, tmp_path / "export", token=TOKEN, stop=stop)
        )
        await wait_until(lambda: api.stats.requests >= 2, "the first requests")
        stop.set() if kind is asyncio.Event else stop.make()
        report = await run
        assert (report.exit_code, report.ended) == (4, "stopped")
        assert report.ending.headline == "Stopped early by the caller."
        assert 0 < report.tally.verdicts[Verdict.OK] < 20
        resumed = await export(settings, ids_txt, tmp_path / "export", token=TOKEN)
    assert resumed.exit_code == 0
    assert len(rows(tmp_path / "export")) == 20


async def test_a_stop_that_is_asked_for_before_the_run_begins_is_not_lost(
    simulated, tmp_path, ids_txt
):
    stop = StopRequest()
    stop.make()
    with simulated() as api:
        report = await export(
            settings_for(api), ids_txt, tmp_path / "export", token=TOKEN, stop=stop
        )
    assert (report.exit_code, api.stats.requests) == (4, 0)


@pytest.fixture
def silent_pipe(tmp_path):
    """Return a pipe that somebody has open for writing, and writes nothing to."""
    path = tmp_path / "ids.fifo"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    yield path
    os.close(writer)


@pytest.mark.parametrize("kind", [asyncio.Event, StopRequest])
@pytest.mark.parametrize("is_made_before", [True, False])
async def test_a_stop_does_not_wait_for_the_first_id_of_a_pipe(
    tmp_path, silent_pipe, kind, is_made_before
):
    stop = kind()
    make = stop.set if kind is asyncio.Event else stop.make
    if is_made_before:
        make()
    run = asyncio.create_task(
        export(Settings(), silent_pipe, tmp_path / "export", token=TOKEN, stop=stop)
    )
    await wait_until(lambda: looks_at_inputs() or run.done(), "the look at the pipe")
    make()
    with pytest.raises(StoppedError, match="Stopped by the caller") as stopped:
        await asyncio.wait_for(run, PATIENCE_S)
    assert stopped.value.by is StopCause.CALLER
    assert not (tmp_path / "export").exists()


def looks_at_inputs():
    return any(thread.name == "look" for thread in threading.enumerate())


WAITS_FOR_A_PIPE = """
import asyncio, sys, cxai

async def main():
    run = cxai.export(cxai.Settings(), sys.argv[1], "export", token="%(token)s")
    try:
        await asyncio.wait_for(run, 0.5)
    except TimeoutError:
        print("cancelled")

asyncio.run(main())
"""


def test_an_export_that_waits_for_a_pipe_keeps_no_program_from_ending(tmp_path, silent_pipe):
    (tmp_path / "program.py").write_text(WAITS_FOR_A_PIPE % {"token": TOKEN})
    done = subprocess.run(
        [sys.executable, "program.py", silent_pipe],
        cwd=tmp_path, env=environment(PYTHONPATH=str(ROOT / "worker")), capture_output=True,
        check=False, timeout=PATIENCE_S,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"cancelled\n", b"")


async def test_a_program_may_change_its_directory_while_an_export_runs(
    simulated, tmp_path, ids_txt, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    with simulated(latency_s=0.05) as api:
        settings = settings_for(api, in_flight=2, batch=1)
        run = asyncio.create_task(export(settings, ids_txt, "export", token=TOKEN))
        await wait_until(lambda: api.stats.requests >= 6, "some requests")
        monkeypatch.chdir(tmp_path / "elsewhere")
        report = await run
    assert report.exit_code == 0
    assert len(rows(tmp_path / "export")) == 20
    assert not list((tmp_path / "elsewhere").iterdir())


async def test_a_run_that_is_cancelled_loses_nothing(simulated, tmp_path, ids_txt):
    with simulated(latency_s=0.05) as api:
        settings = settings_for(api, in_flight=2, batch=1)
        run = asyncio.create_task(export(settings, ids_txt, tmp_path / "export", token=TOKEN))
        await wait_until(lambda: api.stats.requests >= 6, "some requests")
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        resumed = await export(settings, ids_txt, tmp_path / "export", token=TOKEN)
    assert resumed.exit_code == 0
    assert len(rows(tmp_path / "export")) == 20


# --- in a program ---


async def test_two_exports_at_the_same_time_in_one_loop(simulated, tmp_path, ids_txt):
    with simulated(latency_s=0.01) as api:
        reports = await asyncio.gather(
            *(
                export(settings_for(api), ids_txt, tmp_path / name, token=TOKEN)
                for name in ("one", "two")
            )
        )
    assert [report.exit_code for report in reports] == [0, 0]
    assert len({report.run_id for report in reports}) == 2
    assert len(rows(tmp_path / "one")) == len(rows(tmp_path / "two")) == 20


async def test_two_exports_never_share_a_directory(simulated, tmp_path, ids_txt):
    with simulated(latency_s=0.05) as api:
        first = asyncio.create_task(
            export(settings_for(api), ids_txt, tmp_path / "export", token=TOKEN)
        )
        await wait_until(lambda: api.stats.requests >= 1, "the first request")
        with pytest.raises(UsageError, match="in use"):
            await export(settings_for(api), ids_txt, tmp_path / "export", token=TOKEN)
        assert (await first).exit_code == 0


def test_an_export_in_a_thread_is_ended_from_another(simulated, tmp_path, ids_txt):
    stop, ended = StopRequest(), []
    with simulated(latency_s=0.2) as api:

        def work():
            run = export(
                settings_for(api, in_flight=1), ids_txt, tmp_path / "export", token=TOKEN, stop=stop
            )
            ended.append(asyncio.run(run))

        thread = threading.Thread(target=work)
        thread.start()
        asyncio.run(wait_until(lambda: api.stats.requests >= 1, "the first request"))
        stop.make()
        thread.join(PATIENCE_S)
    assert [report.exit_code for report in ended] == [4]


# A program of someone else's: it prints, as JSON, what an export has changed of its process.
PROGRAM = """
import asyncio, gc, json, logging, os, resource, signal, sys, threading, warnings
import cxai

heavy = {"pydantic", "aiohttp", "click", "rich", "asyncio", "cxai.app"}
early = sorted(heavy & set(sys.modules) - {"asyncio"})  # which this program imports itself

def policy():
    with warnings.catch_warnings(action="ignore"):  # deprecated from Python 3.14 on
        return type(asyncio.get_event_loop_policy()).__name__

def process():
    return {
        "signals": [signal.getsignal(number) for number in range(1, 32)],
        "collector": [gc.isenabled(), *gc.get_threshold(), gc.get_freeze_count()],
        "log": [logging.root.level, len(logging.root.handlers), len(logging.root.filters)],
        "policy": policy(),
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE),
        "umask": os.umask(0o022),
        "environment": dict(os.environ),
        "directory": os.getcwd(),
    }

async def main():
    before = process()
    settings = cxai.Settings(base_url=sys.argv[1], rate=1000, max_attempts=1)
    report = await cxai.export(settings, "ids.txt", "export", token="%(token)s")
    after = process()
    changed = [name for name in before if before[name] != after[name]]
    return {"early": early, "changed": changed, "code": report.exit_code}

os.umask(0o022)
found = asyncio.run(main())
with open("found.json", "w") as file:
    json.dump({**found, "threads": threading.active_count()}, file)
"""


@pytest.mark.usefixtures("ids_txt")
@pytest.mark.parametrize(("scenario", "code"), [({}, 0), ({"missing": 0.5, "garbled": 0.5}, 1)])
def test_nothing_of_the_process_is_changed_and_nothing_is_printed(
    simulated, tmp_path, scenario, code
):
    """Failures neither, which a command would log."""
    (tmp_path / "program.py").write_text(PROGRAM % {"token": TOKEN})
    with simulated(**scenario) as api:
        done = subprocess.run(
            [sys.executable, "-W", "error", "program.py", api.base_url],
            cwd=tmp_path, env=environment(PYTHONPATH=str(ROOT / "worker")), capture_output=True,
            check=False,
        )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    found = json.loads((tmp_path / "found.json").read_text())
    assert found == {"early": [], "changed": [], "code": code, "threads": 1}


def test_each_public_name_is_there_and_in_the_list():
    for name in cxai.__all__:
        assert getattr(cxai, name) is not None
    assert set(cxai.__all__) <= set(dir(cxai))
    with pytest.raises(AttributeError, match="nothing_of_ours"):
        _ = cxai.nothing_of_ours


# --- what the pages show ---


@pytest.mark.usefixtures("ids_txt")
@pytest.mark.parametrize(
    "program",
    [example("README.md"), example("docs/library.md")],
    ids=["README", "library"],
)
def test_the_examples_run_as_they_stand_there(simulated, tmp_path, program):
    (tmp_path / "token.txt").write_text(TOKEN)
    with simulated() as api:
        here = program.replace("Settings(", f"Settings(base_url={api.base_url!r}, ")
        (tmp_path / "program.py").write_text(here)
        done = subprocess.run(
            [sys.executable, "program.py"],
            cwd=tmp_path, env=environment(PYTHONPATH=str(ROOT / "worker")), capture_output=True,
            check=False,
        )  # fmt: skip
    assert done.stderr == b""
    assert b"20 of 20 IDs completed" in done.stdout


def test_settings_are_read_as_the_command_reads_them_where_a_program_asks_for_it(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CXAI_IN_FLIGHT", "3")
    (tmp_path / "nightly.toml").write_text("max_failed = 0.5\n")
    settings = defined_by(example("docs/library.md", 1))["settings"]
    assert (settings.rate, settings.in_flight, settings.max_failed) == (20, 3, 0.5)


@pytest.mark.usefixtures("ids_txt")
async def test_the_example_that_stops_early_does(simulated, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = defined_by(example("docs/library.md", 2))
    with simulated(latency_s=0.2) as api:
        page["Settings"] = lambda: settings_for(api, in_flight=1)
        await page["for_at_most"](0.3, TOKEN)
    assert "Stopped early by the caller." in capsys.readouterr().out
