"""What the README tells to type works as it stands there."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from support.command import cxai, environment, start_cxai

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"(?:^|`)cxai ((?:run|status|verify|simulate)[^`#\n]+)", README, re.MULTILINE)


def test_the_readme_has_a_command_for_each_thing_that_a_user_does_first():
    assert [command.split()[0] for command in COMMANDS] == ["run", "status", "verify", "simulate"]


def test_the_commands_of_the_readme_work_in_their_order(simulated, guids, tmp_path):
    (tmp_path / "ids.txt").write_text("\n".join(guids(3)))
    with simulated() as api:
        env = environment(CXAI_BASE_URL=api.base_url, PYTHONPATH=str(ROOT / "worker"))
        for command in COMMANDS[:3]:
            ended = cxai(*shlex.split(command), env=env, cwd=tmp_path)
            assert ended.code == 0, (command, ended.err)


def test_the_simulator_of_the_readme_starts(tmp_path):
    process = start_cxai(*shlex.split(COMMANDS[3]), "--port", "0", cwd=tmp_path)
    try:
        assert b"The simulated API listens on" in process.stdout.readline()
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_what_the_simulator_prints_is_a_whole_first_run(guids, tmp_path):
    (tmp_path / "ids.txt").write_text("\n".join(guids(3)))
    process = start_cxai("simulate", "--port", "0")
    try:
        printed = iter(process.stdout.readline, b"")
        export, run = (
            next(line.decode().strip() for line in printed if word in line)
            for word in (b"  export ", b"  cxai run ")
        )
        token = dict([export.removeprefix("export ").split("=")])
        env = environment(PYTHONPATH=str(ROOT / "worker"), **token)
        ended = cxai(*shlex.split(run)[1:], env=env, cwd=tmp_path)
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert ended.code == 0, ended.err
    assert (tmp_path / "trial").is_dir()  # not where the real ones go
    assert "start `cxai simulate` in another terminal" in README


def test_what_the_readme_tells_to_install_is_what_the_image_installs():
    """But for options that change nothing of what is installed."""
    image = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    (shown,) = re.findall(r"```sh\n(python3 -m venv.*?)```", README, re.DOTALL)

    def commands(text):
        found = re.findall(r"(?:python3?|/opt/cxai/bin/pip) (-m venv .*|\w+ ?.*)", text)
        return [
            [word for word in one.split("&&")[0].split() if word not in ONLY_THE_IMAGES]
            for one in found
        ]

    assert commands(shown) == commands(image.replace("&& ", "\n"))


ONLY_THE_IMAGES = {"--no-cache-dir", "--disable-pip-version-check", "--quiet"}


def nightly():
    """Return the script that config/nightly.toml shows."""
    text = (ROOT / "config" / "nightly.toml").read_text()
    return "".join(re.findall(r"^#   (.*\n)", text, re.MULTILINE))


@pytest.mark.parametrize(
    ("runs", "verified", "loads", "notified", "code"),
    [
        ([0], 0, True, None, 0),
        ([0], 4, False, "not loaded: see what cxai verify", 4),
        ([0], 5, False, "not loaded: see what cxai verify", 5),
        ([0], 2, False, "not loaded: see what cxai verify", 2),
        ([0], 137, False, "not loaded: see what cxai verify", 137),
        ([1], 0, True, "too many failed, or none has a result", 1),
        ([1], 4, False, "not loaded: see what cxai verify", 4),
        ([1], 5, False, "not loaded: see what cxai verify", 5),
        ([2], None, False, "not started (usage, input without an ID, a run under way)", 2),
        ([3], None, False, "token refused", 3),
        ([4, 4, 0], 0, True, None, 0),
        ([4, 1], 5, False, "not loaded: see what cxai verify", 5),
        ([4, 4, 4, 4], None, False, "stopped early", 4),
        ([5], None, False, "not loaded: see what cxai verify", 5),
        ([70], None, False, "exit code 70", 70),
        ([137], None, False, "exit code 137", 137),
    ],
)
def test_the_nightly_script_loads_what_is_verified_and_does_what_each_exit_code_asks_for(
    tmp_path, runs, verified, loads, notified, code
):
    codes = runs if verified is None else [*runs, verified]
    (tmp_path / "codes").write_text("".join(f"{one}\n" for one in codes))
    done = nightly_with_stubs(tmp_path)
    said = done.stdout.decode().splitlines()
    run = "cxai run ids-2026-11-21.csv --config config/nightly.toml -o exports/2026-11-21"
    verify = [] if verified is None else ["cxai verify exports/2026-11-21"]
    assert said[: len(codes)] == [run] * len(runs) + verify
    assert ("load exports/2026-11-21" in said) is loads
    notes = [line for line in said if line.startswith("notify ")]
    assert [notified in line for line in notes] == ([True] if notified else [])
    assert done.returncode == code


@pytest.mark.parametrize("code", [0, 1])
def test_the_nightly_script_does_not_hide_that_loading_failed(tmp_path, code):
    (tmp_path / "codes").write_text(f"{code}\n0\n")
    done = nightly_with_stubs(tmp_path, load_ends_with=1)
    assert "notify loading exports/2026-11-21 failed" in done.stdout.decode().splitlines()
    assert done.returncode == 1


def nightly_with_stubs(directory, load_ends_with=0):
    """Run the script with a `cxai` that ends with the codes in a file, one after the other."""
    stubs = f"""
        cxai() {{ echo "cxai $*"; c=$(head -n 1 codes); sed -i 1d codes; return "$c"; }}
        load() {{ echo "load $*"; return {load_ends_with}; }}
        notify() {{ echo "notify $*"; }}; sleep() {{ :; }}
    """
    return subprocess.run(
        ["sh", "-c", stubs + nightly(), "nightly.sh", "2026-11-21"],  # noqa: S607
        cwd=directory, capture_output=True, check=False,
    )  # fmt: skip


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make to ask")
@pytest.mark.parametrize(("target", "does"), [("demo", "cxai demo"), ("test", "pytest")])
def test_the_two_commands_are_targets_of_make(target, does):
    assert f"make {target} " in README
    plan = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=True)  # noqa: S607
    assert does in plan.stdout.decode()


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make to ask")
def test_make_alone_lists_every_command_with_what_it_does():
    listed = subprocess.run(
        ["make", "--no-print-directory"],  # noqa: S607 - also within a `make test`
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    shown = dict(line.split(maxsplit=2)[1:] for line in listed.stdout.splitlines())
    assert shown.keys() == set(targets.split()) - {"run-set", "dev-set"}
    assert all(shown.values())


def test_ci_makes_everything_anew_and_runs_what_the_readme_names():
    script = (ROOT / ".ci" / "run").read_text()
    assert re.findall(r"^make (.*)$", script, re.MULTILINE) == ["clean", "demo", "test", "check"]


def test_the_record_of_the_readme_is_one(simulated, guids, tmp_path, export):
    shown = json.loads(re.search(r"```json\n(.*?)```", README, re.DOTALL)[1])
    with simulated() as api:
        export(api, guids(1))
    (part,) = (tmp_path / "export").glob("records-*.jsonl")
    written = json.loads(part.read_text().splitlines()[0])

    def same_form(shown, written):
        if isinstance(shown, dict):
            assert list(shown) == list(written)
            for key in shown:
                same_form(shown[key], written[key])
        elif isinstance(shown, list) and shown and written:
            same_form(shown[0], written[0])

    same_form(shown, written)
