"""The locks are complete: what they name needs nothing else, on any day and with any pip."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
GROUPS = PROJECT["dependency-groups"]
EXTRAS = [each for extra in PROJECT["project"]["optional-dependencies"].values() for each in extra]
WANTED = {
    "run": PROJECT["project"]["dependencies"],
    "build": GROUPS["build"],
    "extras": [*PROJECT["project"]["dependencies"], *EXTRAS],
    "dev": [
        *PROJECT["project"]["dependencies"],
        *EXTRAS,
        *(requirement for group in ("dev", "build", "lock") for requirement in GROUPS[group]),
    ],
}
PINNED = re.compile(r"^([\w.-]+)==(\S+)(?: ; (.+?))? \\$", re.MULTILINE)
OURS = {"cxai-worker", "pip", "setuptools", "wheel"}
"""What an environment has beside the locks: the project, and what `python -m venv` puts there."""


def lock(name):
    """Return name → version of what a lock names for this Python and platform."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    return {
        package: version
        for package, version, marker in PINNED.findall(text)
        if not marker or Marker(marker).evaluate()
    }


def needed(requirements):
    """Return name → requirements of what these need here, all the way down, extras included."""
    found, open_ones = {}, [(Requirement(text), "") for text in requirements]
    while open_ones:
        one, extra = open_ones.pop()
        name = canonicalize_name(one.name)
        if one.marker and not one.marker.evaluate({"extra": extra}):
            continue
        known = found.setdefault(name, [])
        if one not in known:
            known.append(one)
            its = [Requirement(text) for text in metadata.requires(name) or []]
            open_ones += [(each, wanted) for each in its for wanted in ("", *one.extras)]
    return found


@pytest.mark.parametrize("name", WANTED)
def test_a_lock_names_all_that_is_needed_and_nothing_else(name):
    pins, needs = lock(name), needed(WANTED[name])
    assert pins.keys() == needs.keys()
    wrong = [
        f"{requirement} is pinned to {pins[package]}"
        for package, requirements in needs.items()
        for requirement in requirements
        if not requirement.specifier.contains(pins[package], prereleases=True)
    ]
    assert wrong == []


def test_the_locks_agree_with_each_other():
    dev = lock("dev").items()
    assert lock("run").items() <= lock("extras").items() <= dev
    assert lock("build").items() <= dev
    assert not lock("run").keys() & lock("build").keys()  # the latter are uninstalled again


@pytest.mark.parametrize("name", WANTED)
def test_each_pin_has_its_hashes(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_what_the_tests_run_with_is_what_is_locked():
    pins = lock("dev")
    installed = {canonicalize_name(one.name): one.version for one in metadata.distributions()}
    others = {name: installed[name] for name in installed.keys() - pins.keys() - OURS}
    assert others == {}, "not in requirements/dev.txt: `make clean` and `make test`"
    assert {name: installed.get(name) for name in pins} == pins


def install_commands():
    """Yield (file, command) for each command that installs something, anywhere in the project."""
    files = [
        *(ROOT / name for name in ("Makefile", "README.md", "Dockerfile", ".ci/run")),
        *(path for part in ("tests", "bench") for path in (ROOT / part).rglob("*.py")),
    ]
    for path in files:
        text = re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8"))
        if path != Path(__file__):
            for command in re.findall(r"pip install (?=[-.\w])[^\n&|`]*", text):
                yield path.relative_to(ROOT), command


def test_every_command_that_installs_does_so_without_a_resolver():
    found = list(install_commands())
    assert {str(path) for path, _ in found} >= {"README.md", "Dockerfile"}
    for path, command in found:
        assert "--no-deps" in command, (path, command)
        if "--requirement" in command:
            assert "--require-hashes --only-binary :all:" in command, (path, command)
        else:  # this project itself: what builds it is there already
            assert re.search(r"--no-build-isolation \.( |$)", command), (path, command)


def test_the_wheel_contains_the_queries_of_the_ledger(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    assert (tmp_path / "site" / "cxai" / "ledger" / "sqlite.sql").is_file()
