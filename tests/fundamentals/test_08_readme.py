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
        env = environment(CXAI_BASE_URL=api.base_url, PYTHONPATH=str(ROOT))
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


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make to ask")
@pytest.mark.parametrize(("target", "does"), [("demo", "cxai demo"), ("test", "pytest")])
def test_the_two_commands_are_targets_of_make(target, does):
    assert f"make {target} " in README
    plan = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=True)  # noqa: S607
    assert does in plan.stdout.decode()


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
