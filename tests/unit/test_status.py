"""`cxai status` on an export that no run is at work on."""

import sqlite3
from contextlib import closing

from support.store import REPORT, entries_of, opened, run_finished, run_killed

from cxai.core.outcome import Outcome
from cxai.inspect.status import export_status
from cxai.output.contents import LEDGER_NAME
from cxai.policy.verdict import Verdict
from cxai.simulator import Scenario


def test_it_shows_how_each_run_ended_and_does_not_guess_where_nothing_was_noted(tmp_path, guids):
    ids = guids(6)
    run_killed(tmp_path, ids[:3], Scenario())
    run_finished(tmp_path, ids, Scenario())
    first, second = export_status(tmp_path).text().splitlines()[-2:]
    assert first.endswith(
        "3 completed, did not shut down cleanly (it was killed or left at once, or its disk failed)"
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
    assert "  4 messages of a queue in the inbox, 3 without a verdict: the next" in status.text()


def test_of_an_export_from_files_it_says_nothing_of_queues(tmp_path, guids):
    run_finished(tmp_path, guids(3), Scenario())
    assert export_status(tmp_path).inbox == (0, 0)
    assert "queue" not in export_status(tmp_path).text()
