"""`cxai verify` checks the manifest against the ledger, in both directions."""

import json
import os

import pytest
from support.store import REPORT, RUN_ID, opened, run_finished, run_killed

from cxai.inspect.verify import verify_export
from cxai.output.compression import Compression
from cxai.resources.options import Shape
from cxai.simulator import Scenario

SCENARIO = Scenario(missing=0.2)


@pytest.fixture
def ids(guids):
    return guids(25)


@pytest.fixture
def export(tmp_path, ids):
    """Return an export of two runs, in parts of several numbers."""
    run_finished(tmp_path, ids[:10], SCENARIO, part_bytes=50_000)
    run_finished(tmp_path, ids, SCENARIO, part_bytes=50_000)
    return tmp_path


def changed(export, change):
    """Change the manifest and return what verify finds."""
    path = export / "manifest.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(change(content) or content))
    return verify_export(export)


def first_part(key, value):
    def change(manifest):
        manifest["parts"][0][key] = value

    return change


def without_a_part(manifest):
    del manifest["parts"][-1]


def with_another_part(manifest):
    manifest["parts"].append({**manifest["parts"][0], "file": "records-000077.jsonl"})


def with_a_part_twice(manifest):
    manifest["parts"].append(manifest["parts"][0])


def with_an_open_part(manifest):
    manifest["parts"].append({**manifest["parts"][0], "file": "records-000099.jsonl.open"})


def with_other_verdicts(manifest):
    manifest["verdicts"]["ok"] += 1


def with_a_verdict_more(manifest):
    manifest["verdicts"]["rejected"] = 1


def of_another_run(manifest):
    manifest["last_run"]["exit_code"] = 1


@pytest.mark.promise(
    "The manifest does not match the export: parts, counts, checksums, verdicts or run differ",
    "`cxai verify` lists the differences, code 5",
    group="Ledger",
)
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (without_a_part, "does not list records-"),
        (with_another_part, "lists records-000077.jsonl, which the ledger does not have"),
        (with_an_open_part, "lists records-000099.jsonl.open, which the ledger does not have"),
        (with_a_part_twice, "lists failures-000001.jsonl twice"),
        (first_part("records", 7), "has records 7 for failures-000001.jsonl, but the ledger has"),
        (first_part("records", None), "has records None for failures-000001.jsonl"),
        (first_part("bytes", 7), "has bytes 7 for failures-000001.jsonl"),
        (first_part("set", "records"), "has set 'records' for failures-000001.jsonl"),
        (first_part("sha256", "00"), "has sha256 '00' for failures-000001.jsonl"),
        (first_part("run_id", RUN_ID[::-1]), "has run_id '44e2b"),
        (first_part("run_id", None), "has run_id None for failures-000001.jsonl"),
        (first_part("released_at", "2026-11-26"), "has released_at '2026-11-26' for failures-"),
        (with_other_verdicts, "has the verdicts not_found"),
        (with_a_verdict_more, "rejected 1, but the ledger has"),
        (of_another_run, "is of another run than the last one (its exit_code differs)"),
    ],
)
def test_any_difference_in_the_manifest_is_found(export, change, expected):
    found = changed(export, change)
    assert found.exit_code == 5
    assert [expected in problem for problem in found.problems].count(True) == 1
    assert all(problem.startswith("manifest.json: ") for problem in found.problems)
    assert (
        "Run the same `cxai run` command again: it rewrites the file from the ledger"
        in found.text()
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"parts": {}, "verdicts": {}, "last_run": {}}',
        b'{"parts": [1], "verdicts": {}, "last_run": {}}',
        b'{"parts": [{}], "verdicts": {}, "last_run": {}}',
        b'{"parts": [{"file": 1}], "verdicts": {}, "last_run": {}}',
        b'{"parts": [], "verdicts": [], "last_run": {}}',
        b'{"parts": [], "verdicts": {}}',
        b'{"parts": [], "verdicts": {}, "last_run": {}}',
        b'{"parts": [], "released_parts": null, "verdicts": {}, "last_run": {}}',
        b'{"parts": [], "released_parts": {"a": 1}, "verdicts": {}, "last_run": {}}',
        b'{"parts": [], "released_parts": [1], "verdicts": {}, "last_run": {}}',
        b'{"parts": [], "released_parts": [{"file": 1}], "verdicts": {}, "last_run": {}}',
    ],
)
def test_an_invalid_manifest_is_found(export, content):
    (export / "manifest.json").write_bytes(content)
    found = verify_export(export)
    assert found.exit_code == 5
    assert found.problems[0].startswith("manifest.json: can't be read: ")


def a_directory(path):
    path.mkdir()


def a_link(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("put", [a_directory, a_link, os.mkfifo], ids=["directory", "link", "pipe"])
def test_a_manifest_that_is_not_a_file_is_found_and_does_not_hang(export, put):
    (export / "manifest.json").unlink()
    put(export / "manifest.json")
    assert verify_export(export).problems[0].startswith("manifest.json: can't be read: ")


def test_a_missing_manifest_is_found(export):
    (export / "manifest.json").unlink()
    found = verify_export(export)
    assert (found.problems, found.exit_code) == (["manifest.json: is missing."], 5)


def test_the_manifest_of_an_older_run_is_found(tmp_path, ids):
    run_finished(tmp_path, ids[:10], SCENARIO)
    older = (tmp_path / "manifest.json").read_bytes()
    run_finished(tmp_path, ids, SCENARIO)
    (tmp_path / "manifest.json").write_bytes(older)
    problems = verify_export(tmp_path).problems
    assert "manifest.json: does not list records-000002.jsonl." in problems


def test_after_a_killed_run_an_older_manifest_is_valid_but_the_export_is_incomplete(tmp_path, ids):
    run_finished(tmp_path, ids[:10], SCENARIO)
    run_killed(tmp_path, ids, SCENARIO)
    found = verify_export(tmp_path)
    assert (found.problems, found.exit_code) == ([], 4)
    assert changed(tmp_path, with_another_part).exit_code == 5  # what it lists has to be right


def test_a_run_killed_between_its_manifest_and_its_end_leaves_no_damage(tmp_path, ids):
    run_finished(tmp_path, ids[:10], SCENARIO)
    run_finished(tmp_path, ids, SCENARIO)
    newer = (tmp_path / "manifest.json").read_bytes()
    with opened(tmp_path):  # a third run, which writes what the second did, and no end
        (tmp_path / "manifest.json").write_bytes(newer.replace(b'"finished"', b'"stopped"'))
    found = verify_export(tmp_path)
    assert (found.problems, found.exit_code) == ([], 4)


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("compression", Compression)
def test_the_manifest_of_a_run_matches_its_ledger(tmp_path, ids, shape, compression):
    run_finished(tmp_path, ids, SCENARIO, shape=shape, compression=compression)
    found = verify_export(tmp_path)
    assert (found.problems, found.exit_code) == ([], 0)
    assert found.as_dict()["last_run"].items() >= {"run": 1, "headline": REPORT["headline"]}.items()
