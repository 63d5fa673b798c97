"""`cxai verify` reports files that a loader might mistake for parts of the export."""

import pytest
from support.store import run_finished

from cxai.inspect.verify import verify_export
from cxai.simulator import Scenario


@pytest.fixture
def export(tmp_path, guids):
    run_finished(tmp_path, guids(5), Scenario(missing=0.4))
    return tmp_path


@pytest.mark.promise(
    "The directory has a file that a loader would mistake for a part of the export",
    "`cxai verify` reports it, code 5",
    group="Ledger",
)
@pytest.mark.parametrize(
    "name",
    [
        "records-000007.jsonl",
        "records-000001.jsonl.gz",  # beside an uncompressed one
        "records-000001.jsonl.zst",
        "records-000007.jsonl.open",
        "records-1.jsonl",
        "records-000001 (copy).jsonl",
        "records-000001.jsonl.bak",
        "records.jsonl",
        "failures-20261126.jsonl",
        "scores-000001.jsonl",  # of another shape
        "Records-000001.JSONL",
        "records-\udcff.jsonl",
        "records-new\nline.jsonl",
    ],
)
def test_a_file_that_looks_like_a_part_is_a_problem(export, name):
    (export / name).write_bytes(b"{}\n")
    found = verify_export(export)
    (problem,) = found.problems
    assert problem.endswith(": not a part in the ledger, but a loader would read it.")
    assert problem.isprintable()
    assert found.exit_code == 5
    assert found.text().startswith(f"{export} does NOT MATCH its ledger (5 lines in 2 parts, ")
    assert "Move the files that are not cxai's out of the directory" in found.text()


def test_a_directory_or_a_link_that_looks_like_a_part_is_a_problem(export):
    (export / "records-000008.jsonl").mkdir()
    (export / "records-000009.jsonl").symlink_to("records-000001.jsonl")
    assert len(verify_export(export).problems) == 2


@pytest.mark.parametrize("name", ["ids-20261127.jsonl", "ids.ndjson", "notes.jsonl.gz"])
def test_other_json_lines_are_a_note_and_not_a_problem(export, name):
    (export / name).write_bytes(b"{}\n")
    found = verify_export(export)
    assert found.exit_code == 0
    note = f"{name} is not part of the export; a loader should skip it."
    assert f"  Note: {note}" in found.text()
    assert found.as_dict()["notes"] == [note]


@pytest.mark.parametrize("name", ["notes.txt", "ids.csv", ".records-000001.jsonl.swp", "records"])
def test_a_file_that_no_loader_reads_is_not_mentioned(export, name):
    (export / name).write_bytes(b"")
    found = verify_export(export)
    assert (found.problems, found.notes) == ([], [])
