"""`cxai status` on an export that no run is at work on."""

from support.store import run_finished, run_killed

from worker.console.status import export_status
from worker.simulator import Scenario


def test_it_says_how_each_run_ended_and_does_not_guess_where_nothing_was_noted(tmp_path, guids):
    ids = guids(6)
    run_killed(tmp_path, ids[:3], Scenario())
    run_finished(tmp_path, ids, Scenario())
    first, second = export_status(tmp_path).text().splitlines()[-2:]
    assert first.endswith("3 settled, ended without a word (killed, or its disk failed)")
    assert second.endswith("3 settled, finished")
