"""Output directories in any state, made by the committer alone, in milliseconds."""

from contextlib import contextmanager, nullcontext

from cxai.api.base_url import THIS_MACHINE
from cxai.clock import SystemClock
from cxai.core.entry import IdRule, Outcome
from cxai.core.events import EventStream
from cxai.ledger.committer import Committer
from cxai.ledger.form import ExportForm
from cxai.output.compression import Compression
from cxai.output.directory import OutputDirectory
from cxai.policy.reply import Said
from cxai.policy.step import Settle
from cxai.policy.verdict import FailureStage, Verdict
from cxai.resources.cx_ai.layout import LAYOUT
from cxai.resources.cx_ai.resource import CxAi
from cxai.resources.failures import FailureRows
from cxai.resources.options import Shape
from cxai.simulator import behaviour_of
from cxai.simulator.bodies import result_json

_CLOCK = SystemClock()

REPORT = {
    "headline": "Finished.",
    "ended": "finished",
    "exit_code": 0,
    "reason": "finished",
    "adds_up": True,
    "open": 0,
}
"""The report of a run that finished, in the ledger and in the manifest."""

RUN_ID = "3f0c2b6e-7a51-4f0e-9f63-1d3c6a9b2e44"


def entries_of(ids):
    rule = IdRule()
    return [rule.read(one.encode(), "ids.txt", line) for line, one in enumerate(ids, 1)]


def outcomes_of(entries, scenario, shape=Shape.NESTED):
    """Return what a run would commit: each ID's record, or `not_found` if it has none."""
    resource = CxAi(shape, RUN_ID)
    failures = FailureRows(resource.layout.schema_version, RUN_ID)
    outcomes = []
    for entry in entries:
        its = behaviour_of(scenario, entry.id)
        if its.has_result:
            body = result_json(scenario.seed, its.variant)
            record = resource.read(entry.id, body, _CLOCK.utc())
            outcomes.append(Outcome(entry, Verdict.OK, 1, record.lines))
        else:
            settle = Settle(Verdict.NOT_FOUND, "HTTP 404", FailureStage.HEADERS)
            line = failures.failure(entry, settle, attempts=1, at=_CLOCK.utc(), said=Said(404))
            outcomes.append(Outcome(entry, Verdict.NOT_FOUND, 1, line))
    return outcomes


@contextmanager
def opened(
    path,
    *,
    shape=Shape.NESTED,
    compression=Compression.NONE,
    part_bytes=1 << 28,
    steps=None,
    run_id=RUN_ID,
    reopen=(),
    reopen_missing=False,
    part_every_s=None,
    is_queue=False,
    clock=_CLOCK,
):
    """Return the committer of an output directory, recovered as at the start of a run.

    `steps`, a Steps, watches all that it does.
    """
    with (
        OutputDirectory(path) as directory,
        steps or nullcontext(),
        Committer(
            directory,
            ExportForm(LAYOUT, shape, compression, THIS_MACHINE),
            clock,
            part_bytes=part_bytes,
            run_id=run_id,
            emit=EventStream().emit,
            reopen=reopen,
            reopen_missing=reopen_missing,
            part_every_s=part_every_s,
            is_queue=is_queue,
        ) as store,
    ):
        yield store


def left_over(store):
    """Return all entries that earlier runs left in the inbox."""
    return [entry for block in iter(lambda: store.left_over().fresh, []) for entry in block]


def commit(store, ids, scenario, *, batch=10, shape=Shape.NESTED):
    """Settle left-over entries and those of `ids` that are open, `batch` at a time."""
    fresh = [*left_over(store), *store.admit(entries_of(ids)).fresh]
    for start in range(0, len(fresh), batch):
        store.commit(outcomes_of(fresh[start : start + batch], scenario, shape))


def run_killed(path, ids, scenario, **how):
    """Leave a directory like a run that was killed after these IDs, with open parts."""
    with opened(path, **how) as store:
        commit(store, ids, scenario, shape=how.get("shape", Shape.NESTED))


def run_finished(path, ids, scenario, *, batch=10, **how):
    """Leave a directory like a run that finished."""
    with opened(path, **how) as store:
        commit(store, ids, scenario, batch=batch, shape=how.get("shape", Shape.NESTED))
        store.end_run("finished", REPORT)
