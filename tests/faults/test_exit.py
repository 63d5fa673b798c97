"""Never green when wrong: exit code, headline, log, manifest and ledger say the same."""

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest
from support.bodies import as_body
from support.command import TOKEN, cxai, cxai_argv, environment
from support.garbage import leave_out_again
from support.raw_server import RawServer, response
from support.serving import serving
from support.store import run_killed

from cxai.cli.process import export_as_command
from cxai.core.entry import IdRule
from cxai.core.secret_str import SecretStr
from cxai.inspect.status import export_status
from cxai.inspect.verify import verify_export
from cxai.ledger.disk_failure import DatabaseError, DiskFailure, Shortage
from cxai.ledger.rotation import Rotation
from cxai.ledger.sqlite import SqliteDatabase
from cxai.output.directory import OutputDirectory
from cxai.settings import load_settings
from cxai.simulator import Scenario
from cxai.sources.file import FileSource

pytestmark = pytest.mark.long(16)


@pytest.fixture
def run(tmp_path):
    """Return `await run(api, lines, **settings)`: an export in this process, and its report."""

    async def run_here(api, lines, **settings):
        (tmp_path / "ids.txt").write_text("".join(f"{line}\n" for line in lines))
        settings = load_settings(
            {
                "base_url": api.base_url,
                "rate": 1_000,
                "max_attempts": 2,
                "backoff_base_s": 0.01,
                "not_ready_timeout_s": 0.0,
                "progress": "none",
                "log_format": "json",
                **settings,
            }
        )
        source = FileSource([str(tmp_path / "ids.txt")], IdRule())
        try:
            return await export_as_command(settings, source, tmp_path / "export", SecretStr(TOKEN))
        finally:
            leave_out_again()

    return run_here


def last_event(errors):
    """Return the last line of standard error, which is JSON like all others."""
    return [json.loads(line) for line in errors.splitlines()][-1]


@pytest.mark.promise(
    "A run ends, in whatever way",
    "headline, log (level error unless 0), manifest, `cxai status` and exit code say the same",
)
@pytest.mark.parametrize(
    ("scenario", "settings", "code", "headline"),
    [
        ({}, {}, 0, "Finished: 20 of 20 IDs completed."),
        ({"missing": 1.0}, {}, 1, "Finished, but 0 of 20 IDs have a result: exit code 1."),
        ({"failed": 1.0}, {}, 1, "Finished, but 0 of 20 IDs have a result: exit code 1."),
        (
            {"missing": 1.0},
            {"allow_none": True},
            0,
            ("Finished: 20 of 20 IDs completed; no ID has a result, which --allow-none permits."),
        ),
        (
            {"processing": 1.0, "missing": 0.0},
            {"allow_none": True},
            1,
            "Finished, but 20 of 20 IDs (100 %) failed, above --max-failed 0 %: exit code 1.",
        ),
    ],
)
async def test_every_account_of_how_a_run_ended_agrees(
    simulated, run, guids, tmp_path, capsys, scenario, settings, code, headline
):
    with simulated(**scenario) as api:
        report = await run(api, guids(20), **settings)
    assert (report.exit_code, report.text().splitlines()[0]) == (code, headline)
    event = last_event(capsys.readouterr().err)
    level = "error" if code else "info"
    assert (event["event"], event["level"]) == ("run_finished", level)
    noted = json.loads((tmp_path / "export" / "manifest.json").read_text())["last_run"]
    (shown,) = export_status(tmp_path / "export").as_dict()["runs"]
    for place in (event, noted, shown, report.as_dict()):
        assert (place["exit_code"], place["headline"]) == (code, headline)
        assert place["reason"] == report.ending.reason
    assert verify_export(tmp_path / "export").exit_code == 0  # complete, whatever failed


async def test_a_second_run_over_an_input_that_has_all_its_results_is_green(
    simulated, run, guids, tmp_path
):
    with simulated() as api:
        await run(api, guids(5))
        asked = api.stats.requests
        again = await run(api, guids(5))
        assert api.stats.requests == asked
    assert again.exit_code == 0
    assert again.ending.headline == "Finished: 5 of 5 IDs completed."
    assert verify_export(tmp_path / "export").exit_code == 0


async def test_what_failed_in_an_earlier_run_and_is_not_retried_fails_again(simulated, run, guids):
    ids = guids(5)
    with simulated() as api:
        await run(api, ids[:2], max_wire_bytes=1_024)
        report = await run(api, ids)
        assert report.ending.headline == (
            "Finished, but 2 of 5 IDs (40 %) failed, above --max-failed 0 %: exit code 1."
        )
        retried = await run(api, ids, reopen="too_large")
    assert (retried.exit_code, retried.tally.failed) == (0, 0)


@pytest.mark.promise(
    "The API sends fields that it has not documented, and leaves out many that it has",
    "the unknown fields are named first, in the report and in the log, and the others are counted",
)
async def test_unknown_fields_are_named_before_all_that_is_absent(run, guids, capsys):
    bodies = {
        one: as_body({"allParticipants": {"voiceActivitySegments": [{}]}, f"new{n}": n})
        for n, one in enumerate(guids(7))
    }
    by_id = {one: [response(body)] for one, body in bodies.items()}
    with serving(RawServer(by_id=by_id)) as api:
        report = await run(api, bodies)
    assert report.exit_code == 0
    fields = [line.strip() for line in report.text().splitlines() if "field" in line]
    assert [line[:24] for line in fields[:5]] == ["Unknown field, kept: new"] * 5
    assert fields[5] == "… and 2 more unknown fields"
    assert fields[6].startswith("Missing field, now null: ")
    assert fields[9] == "… and 1 more missing field"
    _, event, _ = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (event["event"], event["level"]) == ("undocumented_fields", "warning")
    assert len(event["unknown"]) == 5
    assert (event["unknown_paths"], event["absent_paths"]) == (7, 4)
    assert sorted(list(report.as_dict()["drift"])[:7]) == [f"new{n}" for n in range(7)]


# --- an end that fails ---


def failing(monkeypatch, owner, method):
    def fail(*_args, **_more):
        raise DatabaseError(DiskFailure("No space left on device", "free up space", Shortage.BYTES))

    monkeypatch.setattr(owner, method, fail)


def failing_manifest(monkeypatch):
    plainly = OutputDirectory.replace

    def replace(directory, name, content, **more):
        if name == "manifest.json":
            raise OSError(28, "No space left on device")
        plainly(directory, name, content, **more)

    monkeypatch.setattr(OutputDirectory, "replace", replace)


@pytest.mark.promise(
    "The end of a run fails: sealing, the manifest, or the note in the ledger",
    "nothing says that it finished; code 4, and the same command finishes it",
)
@pytest.mark.parametrize(
    "fail",
    [
        lambda patch: failing(patch, Rotation, "seal_all"),
        lambda patch: failing(patch, SqliteDatabase, "end_run"),
        lambda patch: failing(patch, SqliteDatabase, "settled"),
        failing_manifest,
    ],
    ids=["seal", "end of the run", "count", "manifest"],
)
async def test_a_run_whose_end_fails_never_says_that_it_finished(
    simulated, run, guids, tmp_path, capsys, monkeypatch, fail
):
    with simulated() as api:
        with monkeypatch.context() as patch:
            fail(patch)
            report = await run(api, guids(5))
        assert report.exit_code == 4
        assert report.ending.headline.startswith("Stopped early: ")
        assert "No space left" in report.ending.headline
        event = last_event(capsys.readouterr().err)
        assert (event["event"], event["level"], event["exit_code"]) == ("run_finished", "error", 4)
        assert not (tmp_path / "export" / "manifest.json").exists()
        assert verify_export(tmp_path / "export").exit_code == 4
        assert (await run(api, guids(5))).exit_code == 0
    assert verify_export(tmp_path / "export").exit_code == 0


@pytest.mark.promise(
    "The ledger has more or fewer outcomes of a run than were counted",
    "the run says that its counts do not add up, code 5; so does `cxai verify`",
)
@pytest.mark.parametrize("difference", [-1, 1])
async def test_an_outcome_that_is_lost_on_the_way_to_the_ledger_is_no_green_run(
    simulated, run, guids, tmp_path, monkeypatch, difference
):
    plainly = SqliteDatabase.settled
    monkeypatch.setattr(
        SqliteDatabase, "settled", lambda ledger, run: plainly(ledger, run) + difference
    )
    with simulated() as api:
        report = await run(api, guids(5))
    assert report.exit_code == 5
    assert report.ending.headline == "The counts of this run do not add up: exit code 5."
    assert verify_export(tmp_path / "export").exit_code == 5


# --- the command ---


@pytest.mark.promise(
    "A run is refused before it begins", "the log has an event with level error and the exit code"
)
@pytest.mark.parametrize(
    ("arguments", "token", "said"),
    [
        (["nowhere.txt"], TOKEN, "nowhere.txt"),
        ([], "", "No API token"),
        ([], TOKEN, "ID"),  # an empty input
    ],
)
def test_a_refused_run_is_an_error_in_the_log(simulated, tmp_path, arguments, token, said):
    with simulated() as api:
        env = environment(
            CXAI_BASE_URL=api.base_url, CXAI_LOG_FORMAT="json", CXAI_PROGRESS="none",
            CXAI_API_TOKEN=token,
        )  # fmt: skip
        ended = cxai("run", *arguments, "-o", tmp_path / "export", stdin=b"", env=env)
    assert ended.code == 2
    event = last_event(ended.err)
    assert (event["level"], event["exit_code"]) == ("error", 2)
    assert said in event.get("headline", event["reason"])


@pytest.mark.promise(
    "Standard output is full, so that the report of a run is lost",
    "code 2 if the run succeeded, else the run's own; standard error says why",
)
@pytest.mark.parametrize(
    ("scenario", "code", "arguments"), [({}, 2, []), ({"missing": 1.0}, 1, ["--json"])]
)
def test_a_report_that_can_not_be_printed_is_not_green(
    simulated, guids, tmp_path, scenario, code, arguments
):
    with simulated(**scenario) as api, Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            cxai_argv("run", "-o", tmp_path / "export", "--base-url", api.base_url, *arguments),
            input=guids(1)[0].encode(),
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
        )
    assert ended.returncode == code
    errors = ended.stderr.decode()
    assert "Can't write to standard output: No space left on device." in errors
    assert errors.count("Only the report is lost") == 1
    assert "Traceback" not in errors


def test_on_a_terminal_the_headline_is_seen_though_the_report_goes_to_a_file(
    simulated, guids, tmp_path
):
    terminal, stderr = pty.openpty()
    with simulated(missing=1.0) as api:
        ended = subprocess.run(
            cxai_argv("run", "-o", tmp_path / "export", "--base-url", api.base_url, "--json"),
            input=guids(1)[0].encode(),
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment(CXAI_PROGRESS="none"),
            check=False,
        )
    os.close(stderr)
    with open(terminal, "rb", buffering=0) as shown:  # noqa: PTH123 - a descriptor
        assert shown.read(1_000).decode().strip() == (
            "cxai: Finished, but 0 of 1 ID has a result: exit code 1."
        )
    assert json.loads(ended.stdout)["exit_code"] == ended.returncode == 1


def test_a_reader_that_leaves_early_and_a_full_log_do_not_change_how_a_run_ended(
    simulated, guids, tmp_path
):
    env = environment(CXAI_PROGRESS_S="0.05")
    env.pop("PYTHONUNBUFFERED", None)  # then Python itself keeps what could not be written
    with simulated() as api, Path("/dev/full").open("wb") as full:
        process = subprocess.Popen(
            cxai_argv("run", "-o", tmp_path / "export", "--base-url", api.base_url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=full,
            env=env,
        )
        process.stdout.close()
        process.communicate(guids(3)[0].encode(), timeout=60)
    assert process.returncode == 0


def test_refused_settings_are_an_event_of_the_log(tmp_path):
    ended = cxai(
        "run", "-o", tmp_path / "export", "--rate", "0", env=environment(CXAI_LOG_FORMAT="json")
    )
    event = json.loads(ended.err)
    assert (ended.code, event["event"], event["level"]) == (2, "run_refused", "error")


def test_failures_are_in_released_parts_only_after_a_prune(simulated, guids, tmp_path):
    (tmp_path / "ids.txt").write_text("\n".join(guids(20)))
    export = tmp_path / "export"
    with simulated(missing=0.5) as api:
        run = ("run", tmp_path / "ids.txt", "-o", export, "--base-url", api.base_url)
        reports = [cxai(*run, "--rate", "1000").out for _ in range(2)]
        assert cxai("prune", export, "--all").code == 0
        reports.append(cxai(*run, "--rate", "1000").out)
    shown = f"  IDs without a record are listed in {export}/failures-*.jsonl*"
    for report, ending in zip(reports, (":", ":", " and in released parts:"), strict=True):
        assert shown + ending in report.splitlines()


def test_a_missing_part_is_named_with_each_way_out(simulated, guids, tmp_path):
    with simulated() as api:
        cxai(
            "run", "-o", tmp_path / "export", "--base-url", api.base_url, stdin=guids(1)[0].encode()
        )
    (tmp_path / "export" / "records-000001.jsonl").unlink()
    found = verify_export(tmp_path / "export")
    assert found.exit_code == 5
    for way_out in ("Put the missing files back", "cxai prune", "--reopen-missing"):
        assert way_out in found.text()
    status = export_status(tmp_path / "export")
    assert "records-000001.jsonl is missing" in status.text()
    assert status.as_dict()["missing_parts"] == ["records-000001.jsonl"]


def in_shell(redirection, *arguments, env=None):
    """Run `cxai` as a shell starts it that closes or redirects its standard streams."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *cxai_argv(*arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=env or environment(),
        timeout=60,
        check=False,
    )


@pytest.mark.promise(
    "Standard output is closed, so that a report, a schema or the help is lost",
    "code 2, and standard error says why",
)
@pytest.mark.parametrize(
    ("arguments", "redirection", "why"),
    [
        (["schema"], ">&-", "Bad file descriptor"),
        (["schema"], "1</dev/null", "Bad file descriptor"),
        (["--version"], ">&-", "Bad file descriptor"),
        (["--help"], ">&-", "Bad file descriptor"),
        (["run", "--help"], ">/dev/full", "No space left on device"),
        ([], ">/dev/full", "No space left on device"),
        (["simulate", "--port", "0"], ">/dev/full", "No space left on device"),
    ],
)
def test_what_can_not_be_printed_is_not_green(arguments, redirection, why):
    ended = in_shell(redirection, *arguments)
    assert ended.returncode == 2
    assert ended.stderr.decode().endswith(f"cxai: Can't write to standard output: {why}.\n")


@pytest.mark.parametrize(
    ("redirection", "code"), [(">&-", 2), ("<&- >&- 2>&-", 2), ("2>&-", 0), ("<&-", 0)]
)
def test_a_run_with_closed_streams_is_green_if_its_report_is_printed(
    simulated, guids, tmp_path, redirection, code
):
    (tmp_path / "ids.txt").write_text(guids(1)[0])
    with simulated() as api:
        ended = in_shell(
            redirection, "run", tmp_path / "ids.txt", "-o", tmp_path / "export",
            "--base-url", api.base_url,
        )  # fmt: skip
    assert ended.returncode == code
    assert bool(ended.stdout) == (code == 0)
    assert verify_export(tmp_path / "export").exit_code == 0


def test_a_standard_input_that_is_closed_is_not_an_empty_one(tmp_path):
    ended = in_shell("<&-", "run", "--allow-empty", "-o", tmp_path / "export")
    assert ended.returncode == 2
    assert b"<stdin> can't be read" in ended.stderr
    assert not (tmp_path / "export").exists()
    assert in_shell("</dev/null", "run", "--allow-empty", "-o", tmp_path / "export").returncode == 0


def test_a_simulator_with_an_empty_token_is_refused_with_a_message():
    ended = cxai("simulate", "--port", "0", "--token", "")
    assert ended.code == 2
    assert "cxai: token is empty" in ended.err


@pytest.mark.parametrize("as_json", [False, True])
def test_a_check_that_fails_explains_its_exit_code_on_standard_error(tmp_path, guids, as_json):
    run_killed(tmp_path / "export", guids(3), Scenario())
    env = environment(**({"CXAI_LOG_FORMAT": "json"} if as_json else {}))
    ended = cxai("verify", tmp_path / "export", env=env)
    assert ended.code == 4
    (line,) = ended.err.splitlines()
    if as_json:
        event = json.loads(line)
        assert (event["event"], event["level"], event["exit_code"]) == ("verify_failed", "error", 4)
        line = event["reason"]
    assert line.removeprefix("cxai: ").startswith(
        f"{tmp_path / 'export'} is intact, but INCOMPLETE"
    )
