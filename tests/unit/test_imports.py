"""Imports run one way: which package may import which. Every package is in the table."""

import ast
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import cxai

ROOT = Path(cxai.__file__).parent

PUBLIC = "__init__"

ALLOWED = {
    # package: those that it imports from, besides itself
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
"""What is allowed is what some file needs, and nothing else."""

PURE = {"collections.abc", "dataclasses", "enum", "math"}
"""All that the policy needs: no IO, no clock and no randomness."""

FILES = sorted(ROOT.rglob("*.py"))


def package_of(dotted):
    """Return the package of a module of ours: `cxai.resources.cx_ai.read` is in `resources`."""
    _cxai, *rest = dotted.split(".")
    return rest[0] if rest else PUBLIC


def package_of_file(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@cache  # three tests read each file
def imported(path):
    """Return the modules that a file imports anywhere, with our own names resolved."""
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


def packages_imported(path):
    return {
        package_of(name) for name in imported(path) if name == "cxai" or name.startswith("cxai.")
    }


def name_of(path):
    return str(path.relative_to(ROOT))


def test_the_table_has_every_package_and_no_other():
    assert {package_of_file(path) for path in FILES} == ALLOWED.keys()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_package_imports_only_what_it_may(path):
    package = package_of_file(path)
    assert packages_imported(path) <= ALLOWED[package] | {package}


def test_nothing_is_allowed_that_no_file_needs():
    seen = {package: set() for package in ALLOWED}
    for path in FILES:
        seen[package_of_file(path)] |= packages_imported(path) - {package_of_file(path)}
    assert seen == ALLOWED


def test_no_two_packages_import_each_other():
    TopologicalSorter(ALLOWED).prepare()  # raises CycleError


def test_the_policy_imports_no_clock_no_randomness_and_nothing_that_does_io():
    theirs = set().union(*(imported(p) for p in FILES if package_of_file(p) == "policy"))
    assert {name for name in theirs if not name.startswith("cxai")} == PURE


ONE_MACHINE = [ROOT / "app" / f"{name}.py" for name in ("__init__", "local", "input", "wiring")]


@pytest.mark.parametrize("path", ONE_MACHINE, ids=name_of)
def test_a_run_on_one_machine_imports_nothing_of_the_cluster(path):
    assert not packages_imported(path) & {"cluster", "objects"}


CORE = {"core", "policy", "governor", "errors"}
THIRD_PARTY = {"governor/local.py": {"asyncio_throttle"}}  # the window of what was sent


@pytest.mark.parametrize("path", [p for p in FILES if package_of_file(p) in CORE], ids=name_of)
def test_the_core_needs_no_third_party_package(path):
    packages = {name.partition(".")[0] for name in imported(path)}
    assert packages <= sys.stdlib_module_names | {"cxai"} | THIRD_PARTY.get(name_of(path), set())
