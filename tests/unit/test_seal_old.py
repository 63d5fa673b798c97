"""Parts that are old enough are sealed while a run works, and the manifest lists them."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from support.checker import assert_exact
from support.crashing import Steps
from support.leftovers import SCENARIO
from support.store import REPORT, RUN_ID, commit, entries_of, opened, outcomes_of, run_finished

from cxai import Settings
from cxai.app import part_every_s
from cxai.errors import CommitError
from cxai.inspect.prune import prune_export
from cxai.inspect.verify import verify_export
from cxai.resources.options import Shape
from cxai.simulator import Scenario

ALL_OK = Scenario()


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self):
        self.passed_s = 0.0

    def monotonic(self):
        return self.passed_s

    def utc(self):
        return datetime(2026, 11, 27, tzinfo=UTC) + timedelta(seconds=self.passed_s)


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def export(tmp_path):
    return tmp_path / "export"


@pytest.fixture
def ids(guids):
    return guids(30)


def queue(export, clock, **how):
    """Open an export for a run over a queue that seals its parts after ten minutes."""
    return opened(export, **{"part_every_s": 600.0, "is_queue": True, "clock": clock, **how})


def names(export):
    return sorted(path.name for path in export.glob("*.jsonl*"))


def manifest_of(export):
    return json.loads((export / "manifest.json").read_text())


def listed(export):
    return [part["file"] for part in manifest_of(export)["parts"]]


@pytest.mark.promise(
    "A run over a queue that never ends",
    "rows are in a finished part, which the manifest lists, after `--part-every` seconds",
    group="Loading",
)
def test_a_part_is_finished_once_its_first_row_is_old_enough(export, clock, ids):
    with queue(export, clock) as store:
        assert store.seal_old() == 600.0
        commit(store, ids[:10], ALL_OK)
        clock.passed_s += 400
        commit(store, ids[10:20], ALL_OK)
        assert store.seal_old() == 200.0
        assert names(export) == ["records-000001.jsonl.open"]
        clock.passed_s += 200
        assert store.seal_old() == 600.0
        assert names(export) == listed(export) == ["records-000001.jsonl"]
        commit(store, ids[20:], ALL_OK)
        assert names(export) == ["records-000001.jsonl", "records-000002.jsonl.open"]
        store.end_run("finished", REPORT)
    assert_exact(export, ids, ALL_OK)
    assert verify_export(export).exit_code == 0


def test_the_manifest_of_a_run_under_way_says_so_and_counts_what_is_settled(export, clock, ids):
    with queue(export, clock) as store:
        commit(store, ids, SCENARIO)
        clock.passed_s += 600
        store.seal_old()
        content = manifest_of(export)
        assert content["last_run"] == {
            "run_id": RUN_ID,
            "headline": "The run was under way at 2026-11-27T00:10:00.000Z.",
            "ended": None,
            "exit_code": None,
            "reason": "under_way",
        }
        assert sum(content["verdicts"].values()) == len(ids)
        assert {part["run_id"] for part in content["parts"]} == {RUN_ID}
    found = verify_export(export)  # of a run that was killed after that
    assert (found.problems, found.exit_code) == ([], 4)


def test_a_part_of_a_killed_run_is_no_longer_listed_once_it_is_released(export, clock, ids):
    with queue(export, clock, part_bytes=1) as store:
        commit(store, ids, ALL_OK)
        clock.passed_s += 600
        store.seal_old()
    first, *others = listed(export)
    assert others
    assert prune_export(export, [first], clock).deleted == [first]
    assert listed(export) == others
    assert [part["file"] for part in manifest_of(export)["released_parts"]] == [first]
    assert manifest_of(export)["last_run"]["reason"] == "under_way"
    assert verify_export(export).problems == []


def test_the_end_of_the_run_replaces_the_manifest(export, clock, ids):
    with queue(export, clock) as store:
        commit(store, ids, SCENARIO)
        clock.passed_s += 600
        store.seal_old()
        store.end_run("finished", REPORT)
    assert manifest_of(export)["last_run"] == REPORT
    assert verify_export(export).exit_code == 0


def test_what_is_not_old_enough_is_not_finished_and_nothing_is_listed(export, clock, ids):
    with queue(export, clock) as store:
        commit(store, ids, ALL_OK)
        clock.passed_s += 599
        store.seal_old()
        assert not (export / "manifest.json").exists()


def test_records_and_failures_are_finished_independently(export, clock, ids):
    found = [one for one in ids if outcomes_of(entries_of([one]), SCENARIO)[0].verdict == "ok"]
    lost = [one for one in ids if one not in found]
    with queue(export, clock) as store:
        commit(store, found, SCENARIO)
        clock.passed_s += 300
        commit(store, lost, SCENARIO)
        clock.passed_s += 300
        assert store.seal_old() == 300.0
        assert names(export) == ["failures-000001.jsonl.open", "records-000001.jsonl"]
        clock.passed_s += 300
        store.seal_old()
        assert names(export) == ["failures-000001.jsonl", "records-000001.jsonl"]
        store.end_run("finished", REPORT)
    assert_exact(export, ids, SCENARIO)


def test_all_tables_are_finished_together(export, clock, ids):
    with queue(export, clock, shape=Shape.TABLES) as store:
        commit(store, ids, ALL_OK, shape=Shape.TABLES)
        clock.passed_s += 600
        store.seal_old()
    tables = {name.removesuffix("-000001.jsonl") for name in names(export)}
    assert {"interactions", "scores", "segments"} <= tables


def test_parts_sealed_for_their_size_are_listed_at_the_next_check(export, clock, ids):
    with queue(export, clock, part_bytes=1) as store:
        commit(store, ids[:20], ALL_OK)
        assert store.seal_old() == 600.0
        assert listed(export) == ["records-000001.jsonl"]


def test_rows_of_a_run_that_was_killed_keep_their_age(export, clock, ids):
    with queue(export, clock) as store:
        commit(store, ids[:10], ALL_OK)
    clock.passed_s += 400
    with queue(export, clock) as store:
        assert store.seal_old() == 200.0
        commit(store, ids[10:], ALL_OK)
        clock.passed_s += 200
        store.seal_old()
        assert listed(export) == ["records-000001.jsonl"]


def test_rows_without_a_recorded_time_are_as_old_as_the_run(export, clock, ids):
    with queue(export, clock) as store:
        commit(store, ids, ALL_OK)
    with closing(sqlite3.connect(export / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("DELETE FROM begun")
    clock.passed_s += 400
    with queue(export, clock) as store:
        assert store.seal_old() == 600.0
        clock.passed_s += 600
        store.seal_old()
        assert listed(export) == ["records-000001.jsonl"]


def test_a_run_that_does_not_seal_by_age_never_has_to(export, clock, ids):
    with opened(export, clock=clock) as store:
        commit(store, ids, ALL_OK)
        clock.passed_s += 1e9
        assert store.seal_old() is None
        assert names(export) == ["records-000001.jsonl.open"]


def steps_of_sealing(export, clock, ids, steps):
    """Commit, then seal old parts; `steps` watches only the latter."""
    with queue(export, clock) as store:
        commit(store, ids[:20], SCENARIO)
        clock.passed_s += 600
        with steps:
            store.seal_old()
        commit(store, ids[20:], SCENARIO)
        store.end_run("finished", REPORT)
    return steps.taken


@pytest.mark.promise(
    "The disk fails while a part is sealed because of its age",
    "the run stops with exit code 4 before anything more is committed; the next run ends exact",
    group="Disk",
)
def test_a_disk_that_fails_while_an_old_part_is_finished_stops_the_run(tmp_path, clock, ids):
    steps = steps_of_sealing(tmp_path / "undisturbed", clock, ids, Steps())
    assert {"rename", "fsync"} <= set(steps)
    for at in range(len(steps)):
        export = tmp_path / f"failed-at-{at}"
        with queue(export, clock) as store:
            commit(store, ids[:20], SCENARIO)
            clock.passed_s += 600
            with pytest.raises(CommitError), Steps(at, "error"):
                store.seal_old()
            for again in (store.seal_old, lambda: commit(store, ids[20:], SCENARIO)):
                with pytest.raises(CommitError):
                    again()
        run_finished(export, ids, SCENARIO)
        assert_exact(export, ids, SCENARIO)


@pytest.mark.parametrize(
    ("given", "of_files", "of_a_queue"),
    [(None, None, 900.0), (60.0, 60.0, 60.0), (0.0, None, None)],
)
def test_parts_of_a_queue_are_finished_every_quarter_of_an_hour_unless_settings_differ(
    given, of_files, of_a_queue
):
    settings = Settings(part_every_s=given)
    assert part_every_s(settings, is_queue=False) == of_files
    assert part_every_s(settings, is_queue=True) == of_a_queue


def test_a_run_that_ends_when_its_queue_is_idle_does_not_seal_by_age():
    assert part_every_s(Settings(until_idle_s=60.0), is_queue=True) is None
    assert part_every_s(Settings(until_idle_s=60.0, part_every_s=5.0), is_queue=True) == 5.0
