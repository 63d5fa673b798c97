"""Where it runs: containers, terminals of other languages, and systems that it doesn't run on."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from support.command import cxai_argv, environment
from support.leftovers import go_on
from support.running import ended, running, wait_for_line
from support.waiting import PATIENCE_S, wait_until_blocking

from cxai.core.timestamp import timestamp

pytestmark = pytest.mark.long(15)

ROOT = Path(__file__).parents[2]

# --- signals while it starts ---


def catches(pid, number):
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    caught = int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16)
    return bool(caught >> (number - 1) & 1)


def start(*arguments, before=(), **variables):
    return subprocess.Popen(
        [*before, *cxai_argv(*arguments)],
        env=environment(CXAI_BASE_URL="http://127.0.0.1:9", **variables),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def signal_at_once(process, pid, number):
    """Send a signal as soon as there is a handler; return (exit code, standard error)."""
    try:
        # Of Ctrl-C, Python has a handler of its own before; ours come all at once, SIGTERM's last.
        wait_until_blocking(lambda: catches(pid, signal.SIGTERM), "the handlers")
        os.kill(pid, number)
        code, _, errors = ended(process)
    finally:
        process.kill()
        process.communicate(timeout=PATIENCE_S)
    return code, errors


@pytest.mark.promise(
    "A signal in the first moments, before the run has begun",
    "code 4 and a line that says so; nothing has been written",
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_before_a_run_begins_stops_it_with_code_4(export, number):
    process = start("run", "-o", export)
    code, errors = signal_at_once(process, process.pid, number)
    by = "Ctrl-C" if number == signal.SIGINT else number.name
    assert (code, errors) == (4, f"\ncxai: stopped by {by}; rerun the same command to resume.\n")
    assert not export.exists()


@pytest.mark.promise(
    "SIGTERM in the first moments of a container's process 1, which ignores signals by default",
    "code 4, like any other early stop",
)
def test_an_early_signal_stops_process_1_of_a_container(export):
    container = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*container, "true"], check=False).returncode
    ):
        pytest.skip("this user can't make a PID namespace")
    process = start("run", "-o", export, before=container)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until_blocking(lambda: children.read_text().split(), "process 1")
    (pid,) = map(int, children.read_text().split())
    code, errors = signal_at_once(process, pid, signal.SIGTERM)
    assert (code, "stopped by SIGTERM; rerun the same command to resume" in errors) == (4, True)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_command_that_cannot_be_resumed_ends_as_a_shell_expects(tmp_path, number, code):
    process = start("verify", tmp_path)
    found, errors = signal_at_once(process, process.pid, number)
    assert (found, "resume" in errors) == (code, False)


def test_an_early_signal_is_an_event_where_the_log_is_json(export):
    process = start("run", "-o", export, CXAI_LOG_FORMAT="json")
    code, errors = signal_at_once(process, process.pid, signal.SIGTERM)
    event = json.loads(errors)
    assert (code, event["exit_code"], event["level"]) == (4, 4, "error")
    assert event["at"] == timestamp(datetime.fromisoformat(event["at"]))  # as in other lines
    assert "stopped by SIGTERM; rerun the same command to resume" in event["reason"]


def test_a_signal_while_the_first_line_is_awaited_is_an_event_of_a_log_of_json(export, tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text('log_format = "json"\npatience_s = 60\n')
    process = start("run", "-o", export, "--config", settings)
    wait_for_line(process, "patience_s")  # the settings have been read: it waits for an ID
    process.send_signal(signal.SIGTERM)
    code, _, errors = ended(process)
    event = json.loads(errors)
    assert (code, event["event"], event["exit_code"]) == (4, "run_abandoned", 4)


def test_the_handlers_are_there_before_the_imports_that_take_time():
    loaded = "import sys, cxai.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, check=True)
    slow = {"click", "pydantic", "rich", "aiohttp", "asyncio", "uvloop", "orjson", "cxai.cli.main"}
    assert not slow & set(done.stdout.decode().split())


@pytest.mark.promise(
    "SIGHUP under `nohup`, or Ctrl-C for a shell's background job",
    "stays ignored, as the caller wants it",
)
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_the_caller_ignores_stays_ignored(simulated, export, ids, number):
    with (
        simulated(latency_s=0.2) as api,
        running(
            api, export, ids, preexec_fn=lambda: signal.signal(number, signal.SIG_IGN)
        ) as process,
    ):
        wait_until_blocking(lambda: api.stats.in_flight == 10, "a full flight")
        process.send_signal(number)
        code, out, errors = ended(process)
    assert (code, "stopping" in errors) == (0, False)
    assert "40 IDs = 40 ok" in out


# --- systems ---


@pytest.mark.promise("Windows", "code 2 and a line that says what to use instead")
@pytest.mark.parametrize("arguments", [[], ["--help"], ["run", "ids.txt", "-o", "export"]])
def test_windows_is_refused_in_words(arguments):
    pretend = (
        "import sys; sys.platform = 'win32'; sys.modules['fcntl'] = sys.modules['uvloop'] = None;"
        f" sys.argv[1:] = {arguments!r}; from cxai.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", pretend], capture_output=True, check=False)
    said = b"cxai: Windows is not supported. Use WSL, Linux or macOS.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", said)


# --- what a terminal can't show ---

# Several commands, one after the other in one process, which saves their starts.
COMMANDS = """
import json, os, sys
from cxai.cli.main import main
from support.garbage import leave_out_again

codes = []
for arguments in json.load(sys.stdin):
    sys.argv[1:] = [os.fsdecode(argument.encode("latin-1")) for argument in arguments]
    try:
        main()
    except SystemExit as ended:
        codes.append(ended.code)
    leave_out_again()
    print()
with open("codes.json", "w") as file:
    json.dump(codes, file)
"""

ENCODINGS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "UTF-8, strict": {"PYTHONIOENCODING": "utf-8:strict"},
}
# As bytes of the command line, each written as the Latin-1 character: not UTF-8, and UTF-8.
NAMES = ["n\xffcht", "\xe2\x88\x9a2 \xe2\x9c\x93"]


@pytest.mark.promise(
    "Standard output or error can't show a character (ASCII, Latin-1, a name that is not UTF-8)",
    "another stands in its place; the exit code stays what it is",
)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_cannot_be_shown_is_replaced(simulated, tmp_path, guids, encoding):
    (tmp_path / "ids.txt").write_text("\n".join(guids(2)))
    modules = f"{ROOT / 'worker'}:{ROOT / 'tests'}"
    with simulated() as api:
        commands = [
            (["--help"], 0),
            (["--version"], 0),
            (["run", "--help"], 0),
            (["simulate", "--help"], 0),
            (["simulate", "--list"], 0),
            (["schema", "--markdown"], 0),
            (["no-such-command-\xe2\x9c\x93"], 2),
        ]
        for name in NAMES:
            run = ["run", "ids.txt", "-o", name, "--base-url", api.base_url, "--rate", "100"]
            commands += [
                (run, 0),
                ([*run, "--json"], 0),
                (["run", f"{name}.txt", "-o", "elsewhere"], 2),
                (["status", name], 0),
                (["status", name, "--json"], 0),
                (["status", f"no-{name}"], 2),
                (["verify", name], 0),
                (["verify", name, "--json"], 0),
                (["verify", f"no-{name}"], 2),
            ]
        done = subprocess.run(
            [sys.executable, "-c", COMMANDS],
            input=json.dumps([arguments for arguments, _ in commands]).encode(),
            env=environment(PYTHONPATH=modules, **ENCODINGS[encoding]),
            cwd=tmp_path, capture_output=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    codes = json.loads((tmp_path / "codes.json").read_text())
    wrong = [
        (arguments, code)
        for (arguments, right), code in zip(commands, codes, strict=True)
        if code != right
    ]
    assert wrong == [], done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Internal error" not in done.stderr


def test_json_survives_any_encoding_unchanged(simulated, tmp_path, guids):
    with simulated() as api:
        done = go_on(
            api, tmp_path / "\N{SQUARE ROOT}2", guids(1), "--json",
            env=environment(PYTHONIOENCODING="ascii"),
        )  # fmt: skip
    assert done.json["output"].endswith("\N{SQUARE ROOT}2")
