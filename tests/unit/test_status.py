"""`cxai status`, of a run under way and of an export that none works on."""

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta

import pytest
from support.states import AT, run_state
from support.store import REPORT, entries_of, opened, run_finished, run_killed

from cxai.core.entry import Outcome
from cxai.core.timestamp import timestamp
from cxai.errors import UsageError
from cxai.inspect.status import export_status
from cxai.observe.state_text import plain
from cxai.output.contents import LEDGER_NAME, PROGRESS_NAME
from cxai.output.directory import OutputDirectory
from cxai.policy.verdict import Verdict
from cxai.simulator import Scenario


def test_it_shows_how_each_run_ended_and_does_not_guess_where_that_is_unknown(tmp_path, guids):
    ids = guids(6)
    run_killed(tmp_path, ids[:3], Scenario())
    run_finished(tmp_path, ids, Scenario())
    first, second = export_status(tmp_path).text().splitlines()[-2:]
    assert first.endswith(
        "3 completed, did not shut down cleanly (killed, crashed, quit at once, or its disk failed)"
    )
    assert second.endswith("3 completed, exit code 0. Finished.")


def test_programs_get_exit_code_reason_and_headline_of_each_run(tmp_path, guids):
    run_killed(tmp_path, guids(3), Scenario())
    run_finished(tmp_path, guids(3), Scenario())
    killed, finished = export_status(tmp_path).as_dict()["runs"]
    assert (killed["ended"], killed["exit_code"], killed["headline"]) == (None, None, None)
    assert finished.items() >= REPORT.items() - {("adds_up", True), ("open", 0)}


def test_times_of_an_export_of_an_earlier_version_are_shown_in_the_format_of_today(tmp_path, guids):
    run_finished(tmp_path, guids(3), Scenario())
    with closing(sqlite3.connect(tmp_path / LEDGER_NAME)) as ledger, ledger:
        ledger.execute("UPDATE run SET started_at = '2026-11-27T03:00:00+00:00'")
    (run,) = export_status(tmp_path).as_dict()["runs"]
    assert run["started_at"] == "2026-11-27T03:00:00.000Z"


def test_it_shows_how_much_of_a_queue_waits_for_the_next_run(tmp_path, guids):
    with opened(tmp_path, is_queue=True) as store:
        fresh = store.admit(entries_of(guids(5))).fresh
        store.commit(
            [Outcome(fresh[0], Verdict.OK, 1, {}), Outcome(fresh[1], Verdict.EXHAUSTED, 1, {})]
        )
        store.end_run("stopped", REPORT)
    status = export_status(tmp_path)
    assert status.as_dict()["inbox"] == {"entries": 4, "open": 3}
    assert "  4 messages from a queue in the inbox, 3 without a verdict: the next" in status.text()


def test_for_an_export_from_files_it_does_not_mention_queues(tmp_path, guids):
    run_finished(tmp_path, guids(3), Scenario())
    assert export_status(tmp_path).inbox == (0, 0)
    assert "queue" not in export_status(tmp_path).text()


# --- how old it is, and while a run is under way ---


@pytest.mark.parametrize(
    ("later_s", "ago"), [(0, "0 s ago"), (40, "40 s ago"), (7_200, "2 h 00 min ago")]
)
def test_it_says_how_long_ago_the_last_run_ended(tmp_path, guids, later_s, ago):
    run_finished(tmp_path, guids(3), Scenario())
    (run,) = export_status(tmp_path).runs
    status = export_status(
        tmp_path, datetime.fromisoformat(run["seen_at"]) + timedelta(seconds=later_s)
    )
    assert status.text().startswith(f"{tmp_path}: not running, finished {ago}.\n")
    assert (status.as_dict()["updated_at"], status.as_dict()["age_s"]) == (run["seen_at"], later_s)


def test_for_a_run_that_was_killed_it_says_when_it_was_last_active(tmp_path, guids):
    run_killed(tmp_path, guids(3), Scenario())
    assert f"{tmp_path}: not running, last active " in export_status(tmp_path).text()


def test_a_run_under_way_is_shown_in_words_with_the_age_of_its_progress(tmp_path, guids):
    state = run_state(
        done=60,
        total=300,
        verdicts={Verdict.OK: 57, Verdict.NOT_FOUND: 3},
        requests_per_s=23.4567,
        eta_s=14.2,
        work={"open": 240, "in_flight": 5},
        api={"rate": 20.0},
    )
    run_killed(tmp_path, guids(3), Scenario())
    progress = {**plain(state), "at": timestamp(AT)}
    with opened(tmp_path):
        (tmp_path / PROGRESS_NAME).write_text(json.dumps(progress))
        status = export_status(tmp_path, AT + timedelta(seconds=3))
        assert status.text().splitlines() == [
            f"{tmp_path}: running, updated 3 s ago.",
            "  working",
            "  60 of 300 IDs done (20 %), 240 open, 14 s left",
            "  23.5 requests/s of 20, 5 in flight",
            f"  {'ok':<20} {57:>12}",
            f"  {'not_found':<20} {3:>12}",
        ]
        shown = status.as_dict()
        assert (shown["is_running"], shown["age_s"], shown["progress"]) == (True, 3, progress)
        (tmp_path / PROGRESS_NAME).unlink()
        assert export_status(tmp_path).text() == f"{tmp_path}: running, just started."
    assert export_status(tmp_path).as_dict().keys() == shown.keys()


def test_an_export_that_another_command_uses_is_not_shown_as_running(tmp_path, guids):
    run_finished(tmp_path, guids(3), Scenario())
    ends_there = r"in use by cxai verify, process \d+\. .* wait until that ends\.$"
    in_use = pytest.raises(UsageError, match=ends_there)  # it has no progress to look at
    with OutputDirectory(tmp_path, purpose="verify"), in_use:
        export_status(tmp_path)
