"""`cxai verify` exits with 0 only if no run has anything left to do."""

import pytest
from support.store import REPORT, commit, opened, run_finished, run_killed

from cxai.inspect.verify import verify_export
from cxai.output.contents import LEDGER_NAME
from cxai.output.manifest import MANIFEST_NAME
from cxai.simulator import Scenario

SCENARIO = Scenario(missing=0.2)


@pytest.fixture
def ids(guids):
    return guids(12)


def leave(path, ids, ended="finished", **report):
    """Leave a directory as a run does that shut down cleanly, with this report."""
    report = {**REPORT, "ended": ended, **report}
    with opened(path) as store:
        commit(store, ids, SCENARIO)
        store.end_run(ended, report)
    return verify_export(path)


@pytest.mark.promise(
    "The last run was killed, or stopped early, or has IDs that are still open",
    "`cxai verify` reports it as intact, but incomplete: code 4",
    group="Ledger",
)
@pytest.mark.parametrize(
    ("ended", "report"),
    [
        ("stopped", {"exit_code": 4, "headline": "Stopped early by SIGTERM.", "open": 3}),
        ("stopped", {"exit_code": 4, "headline": "Stopped early by SIGTERM."}),
        ("stopped", {"exit_code": 3, "headline": "Stopped early: the token was refused."}),
        ("stopped", {"exit_code": 2, "headline": "Stopped early: no such column."}),
        ("finished", {"exit_code": 2, "headline": "Finished, but the input has no IDs."}),
        ("finished", {"exit_code": 0, "open": 1}),
        ("finished", {"exit_code": None}),
    ],
)
def test_a_run_that_did_not_finish_its_input_is_not_green(tmp_path, ids, ended, report):
    found = leave(tmp_path, ids, ended, **report)
    assert (found.problems, found.exit_code) == ([], 4)
    code, headline = report["exit_code"], report.get("headline", "Finished.")
    assert f"  The last run ended with exit code {code}: {headline}" in found.text()
    assert "run the same `cxai run` command again" in found.text()
    plain = found.as_dict()
    assert (plain["intact"], plain["complete"], plain["exit_code"]) == (True, False, 4)
    assert plain["last_run"]["exit_code"] == code


def test_after_a_killed_run_the_export_is_incomplete_and_its_open_parts_are_listed(tmp_path, ids):
    run_killed(tmp_path, ids, SCENARIO)
    found = verify_export(tmp_path)
    assert (found.problems, found.exit_code) == ([], 4)
    text = found.text()
    assert (
        "  12 lines are in parts that are not finished: failures-000001.jsonl.open,"
        " records-000001.jsonl.open." in text
    )
    assert "The last run (1, started " in text
    assert "did not shut down cleanly: it was killed, or its disk failed." in text
    assert sum(found.as_dict()["open_parts"].values()) == 12
    assert found.as_dict()["last_run"]["ended"] is None


def test_a_run_killed_after_one_that_finished_is_not_green_even_if_nothing_is_open(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    run_killed(tmp_path, ids, SCENARIO)
    found = verify_export(tmp_path)
    assert (found.problems, found.open_parts, found.exit_code) == ([], {}, 4)


def test_a_part_that_was_not_renamed_before_a_crash_is_open_not_damaged(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    with opened(tmp_path):  # a second run, killed
        pass
    sealed = tmp_path / "records-000001.jsonl"
    (tmp_path / MANIFEST_NAME).unlink()
    sealed.rename(f"{sealed}.open")
    found = verify_export(tmp_path)
    assert (found.problems, found.exit_code) == ([], 4)
    assert list(found.open_parts) == ["records-000001.jsonl.open"]


def test_a_run_that_was_killed_before_its_first_id_is_not_green(tmp_path):
    run_killed(tmp_path, [], SCENARIO)
    assert verify_export(tmp_path).exit_code == 4


def test_a_ledger_without_a_run_is_not_green(tmp_path):
    (tmp_path / LEDGER_NAME).touch()
    found = verify_export(tmp_path)
    assert found.exit_code == 4
    assert "No run has started here: there is nothing to load." in found.text()
    assert found.as_dict()["last_run"] is None


def test_an_empty_run_is_green_only_if_it_was_allowed(tmp_path):
    meant = leave(tmp_path / "meant", [], exit_code=0)
    assert meant.exit_code == 0
    found = leave(tmp_path / "not", [], exit_code=1)
    assert found.exit_code == 4
    assert "No run has found an ID in its input." in found.text()


def test_after_too_many_failures_the_export_is_complete_and_the_headline_is_shown(tmp_path, ids):
    headline = "Finished, but 6 of 20 IDs (30 %) failed, above --max-failed 0 %: exit code 1."
    found = leave(tmp_path, ids, exit_code=1, headline=headline)
    assert found.exit_code == 0
    assert found.text().splitlines()[-1] == (
        f"  Note: the last run ended with exit code 1: {headline}"
    )


def test_a_run_whose_counts_do_not_add_up_is_not_intact(tmp_path, ids):
    found = leave(tmp_path, ids, exit_code=5, adds_up=False)
    assert found.exit_code == 5
    assert "its counts do not add up" in found.text()
    assert "report this as a bug" in found.text()
