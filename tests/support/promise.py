"""docs/promise.md, made of the tests: `make promise` writes it, tests/fundamentals checks it.

A test that carries `@pytest.mark.promise(fault, what_happens)` is a row. Its group is that of its
file, tests/faults/test_<group>.py, unless it names another one: `group="HTTP"`.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "promise.md"

GROUPS = (
    "Input", "HTTP", "Encoding", "JSON", "Limit", "Disk", "Crash", "Ledger", "Shutdown",
    "Stalls", "Readers", "Exit", "Terminals", "Security", "Environment", "Loading", "Objects",
    "Queues", "Cluster",
)  # fmt: skip
_BY_FILE = {f"tests/faults/test_{group.lower()}.py": group for group in GROUPS}

_INTRODUCTION = """\
<!-- Made of the tests by `make promise`: change the tests, not this page. -->
# What it withstands

Every distinct ID that goes in comes out with exactly one verdict, and a record is written exactly
once. Whatever of the following happens on the way, that holds; each row is shown by a test that
`make test` runs.

**Fault** is what goes wrong, **What happens** is what an operator sees of it (verdicts and exit
codes are those of the [README](../README.md)), and **Shown by** is the test, by its name: most of
them run the real `cxai` against a real server, real files and real signals.
"""


@dataclass(frozen=True)
class Row:
    """One fault, and the test that shows what happens; `path` is relative to the repository."""

    group: str
    fault: str
    what_happens: str
    path: str
    test: str


def rows(root=ROOT):
    """Return the rows of all tests, those of tests/faults first, without importing any."""
    files = sorted(
        (path.relative_to(root).as_posix() for path in (root / "tests").rglob("test_*.py")),
        key=lambda path: (path not in _BY_FILE, path),
    )
    return [row for path in files for row in _rows_of(root, path)]


def _rows_of(root, path):
    for node in ast.walk(ast.parse((root / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.promise":
                    fault, what_happens = (ast.literal_eval(argument) for argument in mark.args)
                    named = {key.arg: ast.literal_eval(key.value) for key in mark.keywords}
                    group = named.get("group") or _BY_FILE[path]
                    yield Row(group, fault, what_happens, path, node.name)


def markdown(all_rows):
    """Return the page."""
    return "\n".join([_INTRODUCTION, *(_table(group, all_rows) for group in GROUPS)])


def _table(group, all_rows):
    lines = [f"## {group}", "", "| Fault | What happens | Shown by |", "|---|---|---|"]
    for row in all_rows:
        if row.group == group:
            name = row.test.removeprefix("test_").replace("_", " ")
            shown = f"[{name}](../{row.path})"
            lines.append(f"| {_cell(row.fault)} | {_cell(row.what_happens)} | {shown} |")
    return "\n".join([*lines, ""])


def _cell(text):
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(markdown(rows()), encoding="utf-8")
