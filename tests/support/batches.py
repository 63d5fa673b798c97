"""A run of three batches through the store alone, disturbed at one chosen system call."""

from contextlib import suppress

from support.checker import assert_exact
from support.crashing import CrashedError, Steps
from support.leftovers import SCENARIO
from support.store import commit, opened, run_finished

from cxai.resources.options import Shape

# A part that is sealed after its second commit, and one that is not yet.
PART_BYTES = 20_000


def run_batches(directory, ids, steps, **how):
    """Settle `ids` in three batches of different sizes. `how` is that of `opened`."""
    with opened(directory, **{"part_bytes": PART_BYTES, "steps": steps, **how}) as store:
        for settled in (6, 8, 12):
            commit(store, ids[:settled], SCENARIO, batch=6, shape=how.get("shape", Shape.NESTED))
        store.end_run("stopped", {})


def crash_at(directory, ids, at, how, since=None, **form):
    steps = Steps(at, how, since=since)
    with suppress(CrashedError):
        run_batches(directory, ids, steps, **form)
    return steps


def steps_of_a_run(directory, ids, **form):
    """Return the calls of a run that nothing disturbs."""
    steps = Steps()
    run_batches(directory, ids, steps, **form)
    return steps.taken


def finish(directory, ids, **form):
    """Go on to the end: first by a run that writes less than the tail that it may find."""
    run_finished(directory, ids[-1:], SCENARIO, **form)
    run_finished(directory, ids, SCENARIO, **form)
    assert_exact(directory, ids, SCENARIO)
