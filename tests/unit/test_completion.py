"""Completion: what a shell is offered, from the script that `cxai completion` prints."""

import os
import shutil
import subprocess
import sys

import pytest
from support.command import environment
from support.in_process import cxai_here

COMMANDS = {
    *("run", "demo", "simulate", "status", "verify", "prune", "schema", "enqueue", "retry"),
    *("cluster", "completion"),
}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(capsys, shell):
    ended = cxai_here(capsys, "completion", shell)
    assert f"_CXAI_COMPLETE={shell}_complete" in ended.out


def offered(capsys, *words):
    """Return what is offered for the last of the words, as bash asks for it."""
    line = " ".join(["cxai", *words])
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words)), "_CXAI_COMPLETE": "bash_complete"}
    lines = cxai_here(capsys, **asked).out.splitlines()
    return {line.removeprefix("plain,") for line in lines if line}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["s"], {"simulate", "status", "schema"}),
        (["cluster", ""], {"init"}),
        (["run", "--max-"], {"--max-failed", "--max-attempts", "--max-wire-bytes",
                             "--max-decoded-bytes", "--max-ratio"}),
        (["run", "--shape", ""], {"nested", "tables"}),
        (["run", "--compression", "z"], {"zstd"}),
        (["run", "--pat"], set()),  # a former name: taken, but not offered
        (["run", "--reopen", "not_found,not_"], {"not_found,not_ready"}),
        (["run", "i"], {"file,i"}),
        (["run", "-o", "e"], {"dir,e"}),
        (["status", "e"], {"dir,e"}),
        (["run", "--config", ""], {"file,"}),
        (["schema", "--ddl", "du"], {"duckdb"}),
        (["schema", "re"], {"records"}),
        (["simulate", "--scenario", "na"], {"nan"}),
    ],
)  # fmt: skip
def test_commands_options_values_and_files_are_offered(capsys, words, expected):
    assert offered(capsys, *words) == expected


def test_all_commands_are_offered(capsys):
    assert offered(capsys, "") >= COMMANDS


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_a_real_bash_completes(tmp_path):
    command = tmp_path / "cxai"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m cxai "$@"\n')
    command.chmod(0o755)
    script = """
        eval "$(cxai completion bash)" || exit 1
        COMP_WORDS=(cxai run --comp) COMP_CWORD=2
        _cxai_completion cxai --comp run
        echo "${COMPREPLY[@]}"
        complete -p cxai
    """
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", script],  # noqa: S607
        env=environment(PATH=path), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first == "--compression"
    assert second.startswith("complete ")
