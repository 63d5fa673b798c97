"""Make the virtual environment of a checkout from its locks; `make` runs this before each target.

    python requirements/install.py .venv run     what a run needs
    python requirements/install.py .venv dev     the same, and what the tests and checks need

The locks are complete, so no resolver takes part (`--no-deps`): what an index offers on another
day changes nothing. Every file is checked by its hash, and none is built on the way
(`--only-binary`), since a build would fetch tools that no lock names.

An environment that is complete is left alone. One that was interrupted, was moved, has another
Python or was made from other locks is made again from nothing.
"""

import sys

if sys.platform == "win32":
    sys.exit("cxai-worker runs on Linux and macOS. On Windows, use WSL.")

import fcntl
import hashlib
import json
import os
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LOCKS = Path(__file__).resolve().parent
ROOT = LOCKS.parent
SETS = ("run", "dev")

# How to reach an index is for its user to say. All other settings of pip would change what is
# installed, or where.
_KEPT = {
    "PIP_CACHE_DIR",
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "PIP_CONFIG_FILE",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_KEYRING_PROVIDER",
    "PIP_NO_CACHE_DIR",
    "PIP_NO_INDEX",
    "PIP_NO_INPUT",
    "PIP_PROXY",
    "PIP_RETRIES",
    "PIP_TIMEOUT",
    "PIP_TRUSTED_HOST",
}
_FROM_LOCK = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement")

_INSPECT = """
import importlib.metadata, json, re, sys
names = [re.sub("[-_.]+", "-", d.name).lower() for d in importlib.metadata.distributions()]
print(json.dumps({"python": [*sys.version_info[:3], sys.base_prefix], "installed": names}))
"""
_WITHOUT_PACKAGES = {"pip", "setuptools", "wheel"}

_HINT = """\
{venv} is not ready: pip failed, see above. Without a network, or behind a proxy or a mirror of the
package index, set what pip needs (PIP_PROXY, PIP_INDEX_URL, PIP_CERT), then run the same command
again. "No matching distribution" means that a package has no wheel for this Python or platform."""

_ELSEWHERE = """\
{venv} is not ready: pip has put packages elsewhere. `pip config list` shows what leads it there; to
do without, set PIP_CONFIG_FILE=/dev/null and run the same command again."""


class Environment:
    """One virtual environment: which of the sets it has, and how it gets one."""

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - without `..`, links unresolved
        self.python = self.path / "bin" / "python"
        self._note = self.path / ".installed"

    def ensure(self, wanted: str) -> None:
        """Return when it has the set. Ends the process with a message if that can't be done."""
        has = self.has()
        if not has:
            if not self._is_empty():
                self._create()
            self._install("run", {"run"})
        if wanted not in has | {"run"}:
            self._install(wanted, {"run", wanted})

    def has(self) -> set[str]:
        """Return the sets that it has whole, as they are locked now; none if it has to be made."""
        try:
            noted = json.loads(self._note.read_text())
            path, python, sets = noted["path"], noted["python"], noted["sets"]
        except (OSError, ValueError, LookupError, TypeError):
            return set()
        found = self._inspect()
        # Its path stands in the first line of each of its commands: a moved one doesn't work.
        if not found or path != str(self.path):
            return set()
        same_python = python == found["python"] == _this_python()
        same_locks = sets.keys() <= set(SETS) and all(_digest(one) == sets[one] for one in sets)
        return set(sets) if same_python and same_locks else set()

    def _inspect(self) -> dict[str, Any] | None:
        """Return its Python and packages, None if it doesn't work."""
        argv: list[str | Path] = [self.python, "-I", "-c", _INSPECT]
        try:
            done = subprocess.run(argv, capture_output=True, check=False, env=_settings())
        except OSError:
            return None
        return json.loads(done.stdout) if done.returncode == 0 else None

    def _is_empty(self) -> bool:
        """Whether it can be used as it is: just made, with a pip that works."""
        found = self._inspect()
        return (
            found is not None
            and found["python"] == _this_python()
            and set(found["installed"]) <= _WITHOUT_PACKAGES
            and subprocess.run(
                [self.python, "-I", "-m", "pip", "check"], capture_output=True, check=False
            ).returncode
            == 0
        )

    def _create(self) -> None:
        if self._is_something_else():
            sys.exit(f"{self.path} is not a virtual environment. Move it away, and try again.")
        if missing := [name for name in ("venv", "ensurepip") if not find_spec(name)]:
            version = "python{}.{}".format(*sys.version_info)
            sys.exit(
                f"{sys.executable} can't make virtual environments: it has no module {missing[0]}."
                f" On Debian and Ubuntu: apt install {version}-venv. Or name another Python:"
                " make PYTHON=/path/to/python ..."
            )
        done = subprocess.run(
            [sys.executable, "-m", "venv", "--clear", self.path], check=False, env=_settings()
        )
        if done.returncode != 0:
            sys.exit(f"{sys.executable} could not make a virtual environment in {self.path}.")

    def _is_something_else(self) -> bool:
        if not self.path.exists() or (self.path / "pyvenv.cfg").exists():
            return False
        return not self.path.is_dir() or any(self.path.iterdir())

    def _install(self, name: str, then_has: set[str]) -> None:
        print(f"Installing requirements/{name}.txt into {self.path.name} ...", flush=True)
        noted = self._note.read_bytes() if self._note.exists() else None
        untouched = self._last_changes()
        self._note.unlink(missing_ok=True)
        failed = self._pip("install", *_FROM_LOCK, LOCKS / f"{name}.txt")
        if not failed and name == "run":
            failed = self._install_project()
        if problem := self._problem(name, failed=failed):
            if noted is not None and self._last_changes() == untouched:
                self._note.write_bytes(noted)  # pip got no further than to download
            sys.exit(problem.format(venv=self.path.name))
        self.note_that_it_has(then_has)

    def note_that_it_has(self, names: set[str]) -> None:
        """Write down which sets are installed, whole and as they are locked now."""
        sets = {name: _digest(name) for name in names}
        note = {"path": str(self.path), "python": _this_python(), "sets": sets}
        self._note.write_text(json.dumps(note))

    def _problem(self, name: str, *, failed: bool) -> str | None:
        """Return what to say if the set is not there, or None."""
        if failed or self._pip("check"):
            return _HINT
        found = self._inspect()
        return None if found and _named_by(name) <= set(found["installed"]) else _ELSEWHERE

    def _install_project(self) -> bool:
        """Put the checkout itself on the path, by way of tools that don't stay."""
        with tempfile.TemporaryDirectory(prefix="cxai-build-") as tools:
            failed = self._pip("install", "--target", tools, *_FROM_LOCK, LOCKS / "build.txt")
            if failed:
                return True
            editable = ("--no-deps", "--no-build-isolation", "--editable", ROOT)
            return self._pip("install", *editable, PYTHONPATH=tools)

    def _pip(self, command: str, *arguments: str | Path, **settings: str) -> bool:
        """Run pip; return whether it failed."""
        quiet = ("--quiet", "--disable-pip-version-check")
        argv = [self.python, "-P", "-m", "pip", command, *quiet, *arguments]
        done = subprocess.run(argv, check=False, env={**_settings(), **settings}, cwd=ROOT)
        return done.returncode != 0

    def _last_changes(self) -> list[int]:
        return [place.stat().st_mtime_ns for place in self.path.glob("lib/python*/site-packages")]


def _this_python() -> list[Any]:
    return [*sys.version_info[:3], sys.base_prefix]


def _digest(name: str) -> str:
    """Return what tells apart two states of a lock and of the project's own metadata."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    metadata = [project["project"], project["build-system"], project.get("tool", {}).get("hatch")]
    content = (LOCKS / f"{name}.txt").read_bytes() + json.dumps(metadata).encode()
    return hashlib.sha256(content).hexdigest()


def _named_by(name: str) -> set[str]:
    """Return the packages of a lock that every Python and platform needs, and the project."""
    text = (LOCKS / f"{name}.txt").read_text(encoding="utf-8")
    return {"cxai-worker", *re.findall(r"^([\w-]+)==[^;\n]+$", text, re.MULTILINE)}


def _settings() -> dict[str, str]:
    """Return the environment for Python and pip, without what would lead them elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or not name.startswith(("PIP_", "PYTHON", "VIRTUAL_ENV", "__PYVENV"))
    }
    # These two may also stand in a configuration file of pip, and win over it here.
    return {**kept, "PIP_USER": "0", "PIP_CONSTRAINT": os.devnull, "PYTHONNOUSERSITE": "1"}


@contextmanager
def _alone() -> Iterator[None]:
    """Wait for another `make` in this checkout, as `make --jobs demo test` has."""
    descriptor = os.open(LOCKS, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in SETS:  # noqa: PLR2004 - the two arguments
        sys.exit(f"Usage: python {sys.argv[0]} DIRECTORY {'|'.join(SETS)}")
    with _alone():
        Environment(Path(sys.argv[1])).ensure(sys.argv[2])
