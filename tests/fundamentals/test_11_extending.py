"""The examples of docs/extending.md work as they stand there: one file and one line."""

import csv
import json
import re
import shutil
from functools import partial
from pathlib import Path

import pytest
from support.command import cxai, environment
from support.forked import Forks
from support.raw_server import RawServer, response
from support.serving import serving

pytestmark = pytest.mark.long(12)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


@pytest.fixture
def extended(tmp_path):
    """Return a function that extends the worker as a section of the page says, and runs `cxai`."""
    package = tmp_path / "worker" / "cxai"
    forks = Forks(package.parent)

    def extend(section, room, name, table):
        shutil.copytree(ROOT / "worker" / "cxai", package)  # with what is compiled of it
        text = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        file, line = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[:2]
        (package / room / name).write_text(file)
        registry = package / room / "registry.py"
        before, opening, behind = registry.read_text().partition(
            f"{table}: Mapping[str, str] = {{\n"
        )
        registry.write_text(before + opening + line + behind)
        return partial(cxai, cwd=tmp_path, forks=forks)

    yield extend
    forks.close()


def of_extended(**more):
    return environment(CXAI_RATE="1000", **more)


def test_the_source_on_the_page_works_from_its_name_to_the_last_acknowledgement(
    simulated, guids, tmp_path, extended
):
    run = partial(extended("A source", "sources", "spool.py", "SOURCES"), env=of_extended())
    spool, messages = tmp_path / "spool", [*guids(3), "no id"]
    spool.mkdir()
    for number, text in enumerate(messages):
        (spool / f"message-{number}").write_text(text)
    name = f"spool://{spool}"
    with simulated() as api:
        ended = run("run", name, "-o", "export", "--base-url", api.base_url)
    assert "1 line has no valid ID" in ended.err + ended.out
    (part,) = (tmp_path / "export").glob("records-*.jsonl")
    assert len(part.read_text().splitlines()) == 3
    assert list(spool.iterdir()) == []
    assert "name one spool" in run("run", f"{name}/none", "-o", "export").err
    assert (
        "files, standard input (-), spool://, redis://, rediss://, sqs://."
        in run("run", "kafka://host/0", "-o", "export").err
    )


def test_the_resource_on_the_page_works_from_its_url_to_the_check_of_its_export(
    guids, tmp_path, extended
):
    run = extended("A resource", "resources", "summary.py", "RESOURCES")
    env = of_extended(CXAI_RESOURCE="summary")
    ids = guids(3)
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    summary = [response(b'{"summary": "It was about a bill.", "mood": "calm"}')]
    no_summary = [response(b'{"summary": null}')]
    with serving(RawServer(summary, by_id={ids[2]: no_summary})) as api:
        asked = ("run", "ids.txt", "-o", "export", "--base-url", api.base_url)
        ended, other = run(*asked, env=env), run(*asked, env=of_extended())
    assert f"GET /v1/interactions/{ids[0]}/gen-ai/cx/summary HTTP/1.1" in {
        request.partition("\r\n")[0] for request in api.requests
    }
    (part,) = (tmp_path / "export").glob("records-*.jsonl")
    rows = [json.loads(line) for line in part.read_text().splitlines()]
    assert sorted(row["interaction_id"] for row in rows) == sorted(ids[:2])
    assert rows[0]["summary"] == "It was about a bill."
    assert rows[0]["extra"] == {"mood": "calm"}
    assert "summary is no text" in ended.err + ended.out
    assert "Unknown field, kept: mood (2 results)" in ended.err + ended.out
    assert "has an export with resource summary, not cx_ai." in other.err
    for command in (("verify",), ("status",), ("prune", "--keep", "--all")):
        looked = run(command[0], "export", *command[1:], env=env)
        assert looked.code == 0, looked.err


def test_the_exporter_on_the_page_writes_from_the_first_look_to_the_last_state(
    simulated, guids, tmp_path, extended
):
    run = extended("An exporter", "observe", "figures_csv.py", "OBSERVERS")
    (tmp_path / "ids.txt").write_text("\n".join(guids(3)))
    figures, nowhere = tmp_path / "figures.csv", tmp_path / "none" / "figures.csv"
    with simulated() as api:

        def export(output, **more):
            asked = ("run", "ids.txt", "-o", output, "--base-url", api.base_url)
            return run(*asked, env=of_extended(**more))

        assert export("export", FIGURES_CSV=str(figures)).code == 0
        assert export("unwatched").code == 0
        assert export("unwritten", FIGURES_CSV=str(nowhere)).code == 0
    first, *_, last = csv.reader(figures.read_text().splitlines())
    assert first[2:] == ["0", "0"]
    assert last[2:] == ["3", "3"]


def test_the_tables_that_the_page_names_are_there():
    for table, file in re.findall(r"`(\w+)` in `(\w+/\w+\.py)`", PAGE):
        assert re.search(
            rf"^{table}\b", (ROOT / "worker" / "cxai" / file).read_text(), re.MULTILINE
        )
