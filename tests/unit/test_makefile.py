"""Which Python `make` takes, and what it says when there is none that it can take."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKE = shutil.which("make")
pytestmark = pytest.mark.skipif(MAKE is None, reason="there is no make to ask")


def run_make(tmp_path, *arguments, **pythons):
    """Run make in a directory of its own, with these Pythons, each a script, on the path."""
    checkout, path = tmp_path / "checkout", tmp_path / "bin"
    for directory in (checkout / "requirements", path):
        directory.mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", checkout)
    for name, says in pythons.items():
        script = path / name.replace("_", ".")
        script.write_text(f"#!/bin/sh\n{says}\n")
        script.chmod(0o755)
    return subprocess.run(
        [MAKE, *arguments, "run-set"],
        cwd=checkout, env={"PATH": f"{path}:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


OLD = 'case "$1" in --version) echo "Python 3.9.2";; *) exit 1;; esac'
NEW = 'case "$1" in -c) exit 0;; *) echo "$0 $*";; esac'


def test_the_first_that_is_new_enough_is_taken(tmp_path):
    done = run_make(tmp_path, python3=OLD, python3_12=NEW, python3_11=NEW)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0].endswith("/python3.12")


def test_with_none_that_is_new_enough_it_says_what_it_needs(tmp_path):
    pythons = {f"python3_{minor}": OLD for minor in range(11, 15)}
    done = run_make(tmp_path, python3=OLD, **pythons)
    assert done.returncode == 2
    assert "needs Python 3.11 or newer, and neither python3 nor" in done.stderr
    assert "make PYTHON=/path/to/python run-set" in done.stderr


def test_one_that_is_named_and_too_old_is_refused_with_its_version(tmp_path):
    done = run_make(tmp_path, "PYTHON=python9", python9=OLD, python3=NEW)
    assert done.returncode == 2
    assert "needs Python 3.11 or newer, and python9 is Python 3.9.2" in done.stderr


def test_one_that_is_named_and_not_there_is_refused(tmp_path):
    done = run_make(tmp_path, "PYTHON=python8", python3=NEW)
    assert done.returncode == 2
    assert "There is no python8" in done.stderr
