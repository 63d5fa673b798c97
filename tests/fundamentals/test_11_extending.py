"""The examples of docs/extending.md work as they stand there: one file and one line."""

import re
import shutil
from pathlib import Path

import pytest
from support.command import cxai, environment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILE, LINE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[:2]


@pytest.fixture
def extended(tmp_path):
    """Return `extended(*arguments)`: a `cxai` to which the source on the page was added."""
    package = tmp_path / "worker" / "cxai"
    shutil.copytree(ROOT / "worker" / "cxai", package, ignore=shutil.ignore_patterns("*.pyc"))
    (package / "sources" / "spool.py").write_text(FILE)
    registry = package / "sources" / "registry.py"
    before, table, behind = registry.read_text().partition("SOURCES: Mapping[str, str] = {\n")
    registry.write_text(before + table + LINE + behind)
    env = environment(PYTHONPATH=str(package.parent), CXAI_RATE="1000")
    return lambda *arguments: cxai(*arguments, env=env, cwd=tmp_path)


def test_the_source_on_the_page_works_from_its_name_to_the_last_acknowledgement(
    simulated, guids, tmp_path, extended
):
    spool, messages = tmp_path / "spool", [*guids(3), "no id"]
    spool.mkdir()
    for number, text in enumerate(messages):
        (spool / f"message-{number}").write_text(text)
    name = f"spool://{spool}"
    with simulated() as api:
        ended = extended("run", name, "-o", "export", "--base-url", api.base_url)
    assert "1 line has no valid ID" in ended.err + ended.out
    (part,) = (tmp_path / "export").glob("records-*.jsonl")
    assert len(part.read_text().splitlines()) == 3
    assert list(spool.iterdir()) == []
    assert "name one spool" in extended("run", f"{name}/none", "-o", "export").err
    assert (
        "only files, spool:// and standard input."
        in extended("run", "redis://host/0", "-o", "export").err
    )


def test_the_tables_that_the_page_names_are_there():
    for table, file in re.findall(r"`(\w+)` in `(sources/\w+\.py)`", PAGE):
        assert re.search(
            rf"^{table}\b", (ROOT / "worker" / "cxai" / file).read_text(), re.MULTILINE
        )
