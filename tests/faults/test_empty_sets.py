"""Every set has a file that a loader finds, with or without rows."""

import gzip
import hashlib
import json
from contextlib import closing, suppress

import pytest
from backports import zstd
from support.checker import assert_exact
from support.crashing import CrashedError, Steps
from support.leftovers import SCENARIO
from support.store import RUN_ID, commit, opened, run_finished, run_killed

from cxai.inspect.verify import verify_export
from cxai.ledger.registry import open_database
from cxai.output.compression import Compression
from cxai.output.part_state import PartState, part_name
from cxai.resources.cx_ai.layout import PART_SETS
from cxai.resources.options import Shape
from cxai.simulator import behaviour_of

EVERY_FORM = pytest.mark.parametrize("compression", list(Compression))
OPEN = {Compression.NONE: open, Compression.GZIP: gzip.open, Compression.ZSTD: zstd.open}


@pytest.fixture
def export(tmp_path):
    return tmp_path / "export"


def manifest_of(directory):
    return json.loads((directory / "manifest.json").read_text())


def first_part(directory, part_set, compression=Compression.NONE):
    return directory / part_name(PartState(part_set, 1, sealed=True), compression)


@pytest.mark.promise(
    "A night without a row for one of the sets",
    "the set has an empty file and its line in the manifest, so that a load finds it",
    group="Loading",
)
@EVERY_FORM
@pytest.mark.parametrize("shape", list(Shape))
def test_a_run_without_rows_leaves_an_empty_part_of_each_set(export, shape, compression):
    run_finished(export, [], SCENARIO, shape=shape, compression=compression)
    for part_set in PART_SETS[shape]:
        path = first_part(export, part_set, compression)
        with OPEN[compression](path, "rb") as file:
            assert file.read() == b""
        content = path.read_bytes()
        assert {
            "file": path.name,
            "set": part_set,
            "bytes": len(content),
            "records": 0,
            "sha256": hashlib.sha256(content).hexdigest(),
            "run_id": RUN_ID,
        } in manifest_of(export)["parts"]
    assert verify_export(export).problems == []


@EVERY_FORM
def test_only_the_sets_without_any_part_get_an_empty_one(export, guids, compression):
    found = [one for one in guids(60) if behaviour_of(SCENARIO, one).has_result][:20]
    for ids in (found[:10], found[:10], found):  # the second run has nothing to do
        run_finished(export, ids, SCENARIO, compression=compression)
        assert_exact(export, ids, SCENARIO)
    counted = {
        entry["file"].split(".")[0]: entry["records"] for entry in manifest_of(export)["parts"]
    }
    assert counted == {"failures-000001": 0, "records-000001": 10, "records-000002": 10}


def test_rows_that_come_after_an_empty_part_go_into_the_next(export, small):
    run_finished(export, [], SCENARIO)
    ids = small(12, SCENARIO)
    run_finished(export, ids, SCENARIO)
    assert_exact(export, ids, SCENARIO)
    assert first_part(export, "records").read_bytes() == b""
    assert (export / "records-000002.jsonl").stat().st_size > 0


def test_a_killed_run_leaves_no_empty_part_and_the_next_one_does(export, small):
    ids = small(12, SCENARIO)
    run_killed(export, [], SCENARIO)
    assert list(export.glob("*.jsonl")) == []
    run_finished(export, ids, SCENARIO)
    assert_exact(export, ids, SCENARIO)


@EVERY_FORM
def test_an_empty_part_that_was_damaged_is_found(export, compression):
    run_finished(export, [], SCENARIO, compression=compression)
    path = first_part(export, "records", compression)
    path.write_bytes(path.read_bytes() + b'{"interaction_id": "not ours"}\n')
    assert any(path.name in problem for problem in verify_export(export).problems)
    path.unlink()
    assert any(path.name in problem for problem in verify_export(export).problems)


def test_the_manifest_says_which_run_added_a_part(export, small):
    ids = small(30, SCENARIO)
    with opened(export, run_id="first", part_bytes=1) as store:
        commit(store, ids[:10], SCENARIO)
        store.end_run("stopped", {})
    first = added(export)
    with opened(export, run_id="killed", part_bytes=1) as store:
        commit(store, ids[10:20], SCENARIO, batch=2)  # seals parts, and never ends
    assert added(export) == first
    with opened(export, run_id="last", part_bytes=1) as store:
        commit(store, ids, SCENARIO)
        store.end_run("finished", {})
    last = added(export)
    assert set(first.values()) == {"first"}
    assert last.items() >= first.items()
    assert {run_id for part, run_id in last.items() if part not in first} == {"last"}
    assert set(last) == {path.name for path in export.glob("*.jsonl")}


def added(export):
    """Return which run finished which part, by the part's name, as the ledger has it."""
    with closing(open_database(export)) as ledger:
        return {
            part_name(part, Compression.NONE): part.run_id
            for part in ledger.parts()
            if part.run_id is not None
        }


@pytest.mark.parametrize("how", ["before", "torn", "after", "power"])
@pytest.mark.parametrize("compression", [Compression.NONE, Compression.GZIP])
def test_a_crash_while_empty_parts_are_written_is_recovered_from(export, small, compression, how):
    def end(directory, steps):
        with opened(directory, compression=compression, steps=steps) as store:
            store.end_run("finished", {})

    undisturbed = Steps()
    end(export / "undisturbed", undisturbed)
    for at in range(len(undisturbed.taken)):
        directory = export / f"crashed-at-{at}"
        with suppress(CrashedError):
            end(directory, Steps(at, how))
        run_finished(directory, small(6, SCENARIO), SCENARIO, compression=compression)
        assert_exact(directory, small(6, SCENARIO), SCENARIO)
        assert verify_export(directory).problems == []
