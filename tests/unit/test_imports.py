"""Imports run one way: which room may see which. A room that is not in the table has no place."""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import worker

ROOT = Path(worker.__file__).parent

EVERYTHING = "everything below it"
VERSION = "__init__"

ROOMS = {
    # room: the rooms that it may import from, beside itself
    VERSION: set(),
    "errors": set(),
    "domain": {"errors"},
    "ports": {"domain", "errors"},
    "clock": set(),
    "defaults": set(),
    "collector": set(),
    "descriptors": {"errors"},
    "signals": {"telemetry", "errors"},
    "backlog": {"ports", "domain", "errors"},
    "batch": {"ports", "domain", "errors"},
    "health": {"backlog", "ports", "domain", "errors"},
    "pipeline": {"backlog", "batch", "health", "ports", "domain", "errors"},
    "api": {"ports", "domain", "errors", VERSION},
    "sources": {"ports", "domain", "errors"},
    "limits": {"ports", "domain", "errors"},
    "output": {"ports", "domain", "errors", VERSION},
    "ledger": {
        "output",
        "telemetry",
        "ports",
        "domain",
        "errors",
    },  # the commit protocol joins both
    "telemetry": {"ports", "domain", "errors"},
    "simulator": {"errors"},
    "settings": {
        "api",
        "defaults",
        "output",
        "domain",
        "errors",
    },  # what names a choice, and the token's name
    # api: for the schema alone
    "console": {"api", "settings", "ledger", "output", "telemetry", "ports", "domain", "errors"},
    "app": EVERYTHING,
    "demo": EVERYTHING,
    "cli": EVERYTHING,
    "__main__": {"cli", "errors"},
}
ABOVE = {"app": {"demo", "cli", "__main__"}, "demo": {"cli", "__main__"}, "cli": {"__main__"}}
"""Rooms that see everything, but not those above them."""

ALONE = {"console": "console/schema/columns.py", "settings": "settings.py"}
"""By room, the one file of it that may see `api`: the schema describes what the reader admits."""

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
    """Return the room of a module of ours: `worker.api.wire` lies in `api`."""
    _worker, *rest = dotted.split(".")
    return rest[0] if rest else VERSION


def room_of_file(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path):
    """Yield the modules that a file imports, wherever in it, with a name of ours resolved."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom("worker", names, 0):
                yield from (
                    f"worker.{alias.name}" if is_ours(alias.name) else "worker" for alias in names
                )
            case ast.ImportFrom(module, _, 0):
                yield module
            case ast.ImportFrom():
                raise AssertionError(f"{path} has a relative import: name it from worker on")


def is_ours(name):
    return (ROOT / name).is_dir() or (ROOT / f"{name}.py").is_file()


def rooms_seen(path):
    return {
        room_of(name) for name in imported(path) if name == "worker" or name.startswith("worker.")
    }


def allowed(room):
    if ROOMS[room] is EVERYTHING:
        return ROOMS.keys() - ABOVE[room]
    return ROOMS[room] | {room}


def name_of(path):
    return str(path.relative_to(ROOT))


def test_the_table_has_every_room_and_no_other():
    assert {room_of_file(path) for path in MODULES} == ROOMS.keys()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_sees_only_what_it_may(path):
    assert rooms_seen(path) <= allowed(room_of_file(path))


@pytest.mark.parametrize(("room", "file"), ALONE.items(), ids=lambda value: value)
def test_what_one_file_may_see_is_no_door_for_its_whole_room(room, file):
    seeing = {name_of(path) for path in MODULES if "api" in rooms_seen(path)}
    assert {name for name in seeing if room_of_file(ROOT / name) == room} <= {file}


def test_no_two_rooms_see_each_other():
    order = TopologicalSorter({room: allowed(room) - {room} for room in ROOMS})
    order.prepare()  # raises CycleError


@pytest.mark.parametrize("path", [p for p in MODULES if room_of_file(p) == "domain"], ids=name_of)
def test_the_domain_sees_no_clock_no_chance_and_nothing_outside(path):
    theirs = {name for name in imported(path) if not name.startswith("worker")}
    assert theirs <= PURE


CORE = {"domain", "ports", "errors", "backlog", "batch", "health", "pipeline"}


@pytest.mark.parametrize("path", [p for p in MODULES if room_of_file(p) in CORE], ids=name_of)
def test_the_core_needs_no_package_of_others(path):
    packages = {name.partition(".")[0] for name in imported(path)}
    assert packages <= sys.stdlib_module_names | {"worker"}
