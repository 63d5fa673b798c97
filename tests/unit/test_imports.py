"""Imports run one way: which room may see which. A room that is not in the table has no place."""

import ast
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import cxai

ROOT = Path(cxai.__file__).parent

PUBLIC = "__init__"

ROOMS = {
    # room: the rooms that it imports from, beside itself
    "version": set(),
    "errors": set(),
    "clock": set(),
    "zstd": set(),
    "simulator": set(),
    "policy": set(),
    "core": {"policy", "errors"},
    "governor": {"core", "policy", "errors"},
    "api": {"core", "policy", "errors", "version"},
    "sources": {"core", "errors", "zstd"},
    "resources": {"core", "policy", "errors"},
    "readers": {"resources", "observe", "api", "core", "policy"},
    "output": {"errors", "zstd", "version"},
    "objects": {"output", "errors"},
    "ledger": {"output", "core", "policy", "errors"},
    "cluster": {
        *("inspect", "ledger", "output", "objects", "governor", "core", "policy", "errors"),
        *("version", "zstd"),
    },
    "observe": {"core"},
    "inspect": {"ledger", "output", "resources", "core", "policy", "errors", "zstd"},
    "settings": {
        *("api", "observe", "output", "resources", "sources", "cluster", "core", "policy"),
        "errors",
    },
    "app": {
        *("settings", "cluster", "inspect", "observe", "ledger", "objects", "output", "resources"),
        *("readers", "sources", "api", "governor", "core", "policy", "errors", "clock"),
        "version",
    },
    "library": {"app", "settings", "inspect", "observe", "api", "core", "errors"},
    PUBLIC: {"library", "settings", "inspect", "core", "policy", "errors", "version"},
    "cli": {
        *("app", "cluster", "settings", "inspect", "observe"),
        *("output", "resources", "sources", "api", "core"),
        *("simulator", "errors", "clock", "version"),
    },
    "__main__": {"cli", "errors"},
}
"""Each arrow is there because something needs it; without that, it goes."""

PURE = {
    # What does no IO, and knows no clock and no chance.
    "bisect",
    "collections",
    "collections.abc",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "itertools",
    "math",
    "re",
    "typing",
    "unicodedata",
}

MODULES = sorted(ROOT.rglob("*.py"))


def room_of(dotted):
    """Return the room of a module of ours: `cxai.resources.cx_ai.read` lies in `resources`."""
    _cxai, *rest = dotted.split(".")
    return rest[0] if rest else PUBLIC


def room_of_file(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@cache  # three tests look at each file
def imported(path):
    """Return the modules that a file imports, wherever in it, with a name of ours resolved."""
    return frozenset(_imported(path))


def _imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom("cxai", names, 0):
                yield from (
                    f"cxai.{alias.name}" if is_ours(alias.name) else "cxai" for alias in names
                )
            case ast.ImportFrom(module, _, 0):
                yield module
            case ast.ImportFrom():
                raise AssertionError(f"{path} has a relative import: name it from cxai on")


def is_ours(name):
    return (ROOT / name).is_dir() or (ROOT / f"{name}.py").is_file()


def rooms_seen(path):
    return {room_of(name) for name in imported(path) if name == "cxai" or name.startswith("cxai.")}


def name_of(path):
    return str(path.relative_to(ROOT))


def test_the_table_has_every_room_and_no_other():
    assert {room_of_file(path) for path in MODULES} == ROOMS.keys()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_sees_only_what_it_may(path):
    room = room_of_file(path)
    assert rooms_seen(path) <= ROOMS[room] | {room}


def test_nothing_is_allowed_that_no_file_needs():
    seen = {room: set() for room in ROOMS}
    for path in MODULES:
        seen[room_of_file(path)] |= rooms_seen(path) - {room_of_file(path)}
    assert seen == ROOMS


def test_no_two_rooms_see_each_other():
    TopologicalSorter(ROOMS).prepare()  # raises CycleError


@pytest.mark.parametrize("path", [p for p in MODULES if room_of_file(p) == "policy"], ids=name_of)
def test_the_policy_sees_no_clock_no_chance_and_nothing_outside(path):
    theirs = {name for name in imported(path) if not name.startswith("cxai")}
    assert theirs <= PURE


ONE_MACHINE = [ROOT / "app" / f"{name}.py" for name in ("__init__", "local", "input", "wiring")]


@pytest.mark.parametrize("path", ONE_MACHINE, ids=name_of)
def test_a_run_on_one_machine_sees_nothing_of_the_cluster(path):
    assert not rooms_seen(path) & {"cluster", "objects"}


CORE = {"core", "policy", "governor", "errors"}
PACKAGES = {"governor/local.py": {"asyncio_throttle"}}  # an adapter: the account of what was sent


@pytest.mark.parametrize("path", [p for p in MODULES if room_of_file(p) in CORE], ids=name_of)
def test_the_core_needs_no_package_of_others(path):
    packages = {name.partition(".")[0] for name in imported(path)}
    assert packages <= sys.stdlib_module_names | {"cxai"} | PACKAGES.get(name_of(path), set())
