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
    "signals": {"errors"},
    "backlog": {"ports", "domain", "errors"},
    "batch": {"ports", "domain", "errors"},
    "pipeline": {"backlog", "batch", "ports", "domain", "errors"},
    "api": {"ports", "domain", "errors", VERSION},
    "sources": {"ports", "domain", "errors"},
    "limits": {"ports", "domain", "errors"},
    "output": {"ports", "domain", "errors", VERSION},
    "ledger": {"output", "ports", "domain", "errors"},  # the commit protocol joins both
    "telemetry": {"ports", "domain", "errors"},
    "simulator": {"errors"},
    "settings": {"api", "output", "domain", "errors"},  # what names a choice, and the token's name
    "console": {"api", "settings", "ledger", "output", "ports", "domain", "errors"},  # api: schema
    "app": EVERYTHING,
    "demo": EVERYTHING,
    "cli": EVERYTHING,
    "__main__": {"cli"},
}
ABOVE = {"app": {"demo", "cli", "__main__"}, "demo": {"cli", "__main__"}, "cli": {"__main__"}}
"""Rooms that see everything, but not those above them."""

FILES_ALONE = {
    # file: what it alone of its room may import
    "console/schema.py": {"api"},
    "settings.py": {"api"},
}

PURE = {
    # The standard library's modules that do no IO, and know no clock and no chance.
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
}
PURE_BY_DATETIME = {"datetime"}

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


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_may_see_what_it_has_no_use_for(room):
    """The table says what is, so that a new import is a decision."""
    if ROOMS[room] is EVERYTHING:
        return
    seen = set().union(*(rooms_seen(path) for path in MODULES if room_of_file(path) == room))
    unused = ROOMS[room] - seen
    assert not unused
