"""A crash at any step of a run over a queue: nothing that the queue has let go of is lost."""

from contextlib import suppress
from pathlib import Path

import pytest
from support.checker import assert_exact
from support.crashing import CrashedError, Steps
from support.leftovers import SCENARIO
from support.store import REPORT, entries_of, left_over, opened, outcomes_of

from cxai.clock import SystemClock
from cxai.inspect.verify import verify_export
from cxai.ledger.registry import DATABASES
from cxai.ledger.sqlite import SqliteDatabase
from cxai.output.contents import LEDGER_NAME

_CHANGES = {"start_run", "put_in_inbox", "commit", "seal", "finish_parts", "end_run"}


class WatchedDatabase:
    """A ledger's database; each method that changes it is one of `steps`."""

    def __init__(self, database, steps):
        self._database = database
        self._steps = steps

    def __getattr__(self, name):
        found = getattr(self._database, name)
        return self._steps.watched(name, found) if name in _CHANGES else found


class HastyClock(SystemClock):
    """An hour passes from one look to the next, so that each part is old at once."""

    def __init__(self):
        self._hours = 0

    def monotonic(self):
        self._hours += 1
        return self._hours * 3_600.0


def run_over(queue, directory, steps=None):
    """Settle what is in a queue, a list of IDs, which loses what it is to let go of."""

    def let_go(block):
        del queue[: len(block)]

    acknowledge = steps.watched("acknowledge", let_go) if steps else let_go
    with opened(
        directory, steps=steps, is_queue=True, part_every_s=60.0, clock=HastyClock()
    ) as store:
        fresh = left_over(store)
        while fresh or queue:
            block = entries_of(queue[:2])
            fresh += store.admit(block).fresh
            acknowledge(block)
            store.commit(outcomes_of(fresh[:2], SCENARIO))
            store.seal_old()
            fresh = fresh[2:]
        store.end_run("finished", REPORT)


def crash_at(queue, directory, steps, monkeypatch):
    """Run over a queue until the step at which all ends, if there is one."""

    def watched(location):
        return WatchedDatabase(SqliteDatabase(Path(location) / LEDGER_NAME), steps)

    with monkeypatch.context() as patch, suppress(CrashedError):
        patch.setitem(DATABASES, "", watched)
        run_over(queue, directory, steps)


@pytest.mark.promise(
    "A crash at each step of taking in from a queue, letting the queue go of it, and committing",
    "the next run, over the queue or over files, ends exact: no ID lost, no record twice",
    group="Queues",
)
@pytest.mark.parametrize("how", ["before", "power"])
def test_a_crash_at_any_step_over_a_queue_costs_no_id_and_doubles_no_record(
    small, tmp_path, monkeypatch, how
):
    ids = small(4, SCENARIO)
    undisturbed = Steps()
    crash_at([*ids], tmp_path / "whole", undisturbed, monkeypatch)
    taken = undisturbed.taken
    assert {"put_in_inbox", "acknowledge", "commit", "seal", "rename"} <= set(taken)
    for at in range(len(taken)):
        directory, queue = tmp_path / f"crashed-at-{at}", [*ids]
        crash_at(queue, directory, Steps(at, how), monkeypatch)
        if at % 2 and not queue:  # all are in the inbox by then: a run over a file finds them there
            with opened(directory) as store:
                store.commit(outcomes_of(left_over(store), SCENARIO))
                store.end_run("finished", REPORT)
        else:
            run_over(queue, directory)
        assert_exact(directory, ids, SCENARIO)
        found = verify_export(directory)
        assert (found.problems, found.exit_code) == ([], 0), at
