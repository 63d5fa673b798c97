"""`cxai run --reopen-missing`: fetches the IDs of lost parts again, without a duplicate row."""

import json
import sqlite3
from collections import Counter
from contextlib import closing

import pytest
from support.checker import assert_exact
from support.command import rows
from support.leftovers import SCENARIO
from support.store import REPORT, entries_of, left_over, opened, run_finished, run_killed

from cxai.clock import SystemClock
from cxai.errors import IntegrityError
from cxai.inspect.prune import prune_export
from cxai.inspect.verify import verify_export
from cxai.output.compression import Compression
from cxai.policy.verdict import Verdict
from cxai.resources.options import Shape

FORMS = [
    pytest.param({"part_bytes": 60_000}, id="nested"),
    pytest.param({"part_bytes": 60_000, "compression": Compression.GZIP}, id="gzip"),
]
TABLES = {"shape": Shape.TABLES, "part_bytes": 4_000}


@pytest.fixture
def ids(guids):
    return guids(60)


def admission(export, ids, **how):
    with opened(export, **how) as store:
        return store.admit(entries_of(ids))


def parts_of(export, part_set):
    return sorted(path for path in export.glob(f"{part_set}-*") if not path.name.endswith(".open"))


@pytest.mark.promise(
    "A finished part is lost",
    "a run with `--reopen-missing` fetches its IDs again; all other parts stay as they are",
    group="Ledger",
)
@pytest.mark.parametrize("how", FORMS)
@pytest.mark.parametrize("lost", [0, 1, -1])
def test_the_ids_of_a_lost_part_are_fetched_again(tmp_path, ids, how, lost):
    run_finished(tmp_path, ids, SCENARIO, **how)
    records = parts_of(tmp_path, "records")
    assert len(records) > 2
    records[lost].unlink()
    others = {path: path.read_bytes() for path in parts_of(tmp_path, "records")}
    with pytest.raises(IntegrityError, match="--reopen-missing"):
        admission(tmp_path, ids, **how)
    found = admission(tmp_path, ids, reopen_missing=True, **how)
    assert 0 < len(found.fresh) < len(ids)
    run_finished(tmp_path, ids, SCENARIO, **how)
    assert {path: path.read_bytes() for path in others} == others
    assert_exact(tmp_path, ids, SCENARIO)
    assert verify_export(tmp_path).problems == []


@pytest.mark.promise(
    "Lost parts are reopened, but the input of the run does not contain all of their IDs",
    "the run, later runs and `cxai verify` exit with code 4 until each ID has a verdict again",
    group="Ledger",
)
@pytest.mark.parametrize("lost", ["records", "failures"])
def test_ids_of_a_lost_part_are_remembered_until_they_are_fetched_again(tmp_path, ids, lost):
    run_finished(tmp_path, ids, SCENARIO)
    held = [row["interaction_id"] for row in rows(tmp_path, lost)]
    (tmp_path / f"{lost}-000001.jsonl").unlink()
    others = [one for one in ids if one not in held]
    run_finished(tmp_path, others, SCENARIO, reopen_missing=True)
    assert_unfetched(tmp_path, held)
    run_finished(tmp_path, others, SCENARIO)  # as little as the next one does
    assert_unfetched(tmp_path, held)
    run_finished(tmp_path, held[1:], SCENARIO)
    assert_unfetched(tmp_path, held[:1])
    run_finished(tmp_path, ids, SCENARIO)
    assert unfetched(tmp_path) == 0
    assert verify_export(tmp_path).exit_code == 0
    assert_exact(tmp_path, ids, SCENARIO)


def unfetched(export):
    with opened(export) as store:
        found = store.unfetched()
        store.end_run("finished", REPORT)
    return found


def assert_unfetched(export, ids):
    found = verify_export(export)
    assert (found.exit_code, found.problems) == (4, [])
    assert f"{len(ids)} ID" in found.unfinished[0]
    assert "of lost parts" in found.unfinished[0]
    assert any(one in found.unfinished[0] for one in ids)
    with opened(export) as store:
        assert store.unfetched() == len(ids)


@pytest.mark.promise(
    "Lost parts of an export from a queue are reopened: the queue does not deliver their IDs again",
    "the next run over a queue takes the IDs from the ledger, whatever the queue has",
    group="Queues",
)
@pytest.mark.parametrize("lost", ["records", "failures"])
def test_a_run_over_a_queue_fetches_all_ids_of_lost_parts_again(tmp_path, ids, lost):
    run_finished(tmp_path, ids, SCENARIO, is_queue=True)
    held = {row["interaction_id"] for row in rows(tmp_path, lost)}
    (tmp_path / f"{lost}-000001.jsonl").unlink()
    with opened(tmp_path, reopen_missing=True, is_queue=True) as store:
        assert {entry.id for entry in left_over(store)} == held
        assert store.unfetched() == len(held)
    run_finished(tmp_path, [], SCENARIO, is_queue=True)  # the run before was killed
    assert unfetched(tmp_path) == 0
    assert_exact(tmp_path, ids, SCENARIO)
    assert verify_export(tmp_path).exit_code == 0


def test_invalid_lines_of_a_lost_part_are_not_fetched(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE outcome SET verdict = 'invalid_id' WHERE verdict = 'not_found'")
    (tmp_path / "failures-000001.jsonl").unlink()
    with opened(tmp_path, reopen_missing=True) as store:
        assert store.unfetched() == 0


def test_several_lost_parts_are_reopened_together(tmp_path, ids):
    how = {"part_bytes": 60_000}
    run_finished(tmp_path, ids, SCENARIO, **how)
    for part in [*parts_of(tmp_path, "records"), *parts_of(tmp_path, "failures")]:
        part.unlink()
    assert len(admission(tmp_path, ids, reopen_missing=True, **how).fresh) == len(ids)
    run_finished(tmp_path, ids, SCENARIO, **how)
    assert_exact(tmp_path, ids, SCENARIO)


def test_the_ids_of_a_lost_part_of_failures_are_fetched_again(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    failed = {row["interaction_id"] for row in rows(tmp_path, "failures")}
    (tmp_path / "failures-000001.jsonl").unlink()
    found = admission(tmp_path, ids, reopen_missing=True)
    assert {entry.id for entry in found.fresh} == failed
    assert found.settled == {Verdict.OK: len(ids) - len(failed)}
    run_finished(tmp_path, ids, SCENARIO)
    assert_exact(tmp_path, ids, SCENARIO)


def test_a_lost_part_that_was_still_open_is_reopened_too(tmp_path, ids):
    run_killed(tmp_path, ids[:30], SCENARIO)
    (tmp_path / "records-000001.jsonl.open").unlink()
    with pytest.raises(IntegrityError, match="--reopen-missing"):
        admission(tmp_path, ids)
    run_finished(tmp_path, ids, SCENARIO, reopen_missing=True)
    assert_exact(tmp_path, ids, SCENARIO)


def test_a_lost_part_that_comes_back_later_goes_to_quarantine(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    part = tmp_path / "records-000001.jsonl"
    content = part.read_bytes()
    part.unlink()
    run_finished(tmp_path, ids, SCENARIO, reopen_missing=True)
    part.write_bytes(content)
    run_finished(tmp_path, ids, SCENARIO)
    assert (tmp_path / "quarantine" / part.name).read_bytes() == content
    assert_exact(tmp_path, ids, SCENARIO, beside={"quarantine"})


@pytest.mark.promise(
    "A part of one table is lost",
    "the parts of the other tables with the same IDs go to quarantine: no row exists twice",
    group="Ledger",
)
@pytest.mark.parametrize("part_set", ["interactions", "scores", "segments"])
def test_in_tables_all_rows_of_the_ids_of_a_lost_part_are_written_again(tmp_path, ids, part_set):
    run_finished(tmp_path, ids, SCENARIO, **TABLES)
    assert len(parts_of(tmp_path, "interactions")) > 2
    before = {name: Counter(row["interaction_id"] for row in rows(tmp_path, name)) for name in
              ("interactions", "scores", "segments")}  # fmt: skip
    (tmp_path / f"{part_set}-000002.jsonl").unlink()
    run_finished(tmp_path, ids, SCENARIO, reopen_missing=True, **TABLES)
    after = {name: Counter(row["interaction_id"] for row in rows(tmp_path, name)) for name in
             ("interactions", "scores", "segments")}  # fmt: skip
    assert after == before
    assert len(list((tmp_path / "quarantine").iterdir())) == 2
    assert_exact(tmp_path, ids, SCENARIO, beside={"quarantine"})


def test_in_tables_the_parts_of_all_tables_are_sealed_together(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO, **TABLES)
    numbers = {
        name: [path.name.split("-")[1] for path in parts_of(tmp_path, name)]
        for name in ("interactions", "scores", "segments")
    }
    assert numbers["interactions"] == numbers["scores"] == numbers["segments"]
    for number in numbers["interactions"]:
        has_rows = {
            name: {
                row["interaction_id"]
                for row in rows_of(tmp_path / f"{name}-{number}")
            }
            for name in numbers
        }  # fmt: skip
        assert has_rows["scores"] | has_rows["segments"] <= has_rows["interactions"]


def rows_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_ids_with_released_rows_are_not_fetched_again(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO, **TABLES)
    prune_export(tmp_path, ["interactions-000002.jsonl"], SystemClock())
    (tmp_path / "scores-000002.jsonl").unlink()
    with pytest.raises(IntegrityError, match="which was released, has other rows of the same IDs"):
        admission(tmp_path, ids, reopen_missing=True, **TABLES)
    prune_export(tmp_path, [], SystemClock(), missing=True)
    assert admission(tmp_path, ids, reopen_missing=True, **TABLES).fresh == []


def test_released_parts_are_not_reopened(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    prune_export(tmp_path, [], SystemClock(), every=True)
    assert admission(tmp_path, ids, reopen_missing=True).fresh == []


def test_with_nothing_missing_it_changes_nothing(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    assert admission(tmp_path, ids, reopen_missing=True).fresh == []


def test_no_other_id_with_a_record_is_ever_deleted(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    with (
        sqlite3.connect(tmp_path / "ledger.sqlite") as ledger,
        pytest.raises(sqlite3.IntegrityError, match="an ID with a record was to be forgotten"),
    ):
        ledger.execute("DELETE FROM outcome")
