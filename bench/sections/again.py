"""How long a start takes in a directory where everything is done."""

from bench.clients import WORKER
from bench.measurement import Run, Spread
from bench.page import Claim, Section
from bench.workshop import Workshop

_TARGET_S = 1.0

_HOW = """\
The same `cxai run` once more in a directory where it has settled all IDs: the time until it ends,
{rounds} times. The time to read the input grows with it and is allowed beside the target; it is
told from the difference between the two sizes."""


def again(workshop: Workshop) -> Section:
    """Measure the worker where there is nothing left to do."""
    few, all_of_them = max(1, workshop.size.ids // 10), workshop.size.ids
    walls = {}
    rows = []
    for ids in (few, all_of_them):
        runs = _finished(workshop, ids)
        walls[ids] = Spread.of(run.wall_s for run in runs)
        cpu = Spread.of(run.cpu_s for run in runs)
        rows.append((f"{ids:,}", walls[ids].shown(".2f"), cpu.shown(".2f")))
        workshop.say(f"again: {ids:,} IDs: {walls[ids].median:.2f} s")
    per_id = (walls[all_of_them].median - walls[few].median) / max(1, all_of_them - few)
    beside = walls[all_of_them].median - max(0.0, per_id) * all_of_them
    return Section(
        "Starting again",
        _HOW.format(rounds=workshop.size.rounds),
        ("IDs, all done", "seconds until it ends", "CPU seconds"),
        rows,
        [
            Claim(
                "starting again on a finished directory, beside reading the input",
                f"≤ {_TARGET_S:g} s",
                f"{beside:.2f} s",
                beside <= _TARGET_S,
            )
        ],
    )


def _finished(workshop: Workshop, ids: int) -> list[Run]:
    start = WORKER.prepare(workshop.scratch)
    with workshop.fast_server() as base_url:
        task = workshop.task(ids, base_url)
        try:
            workshop.run(start, task)
            return [workshop.run(start, task) for _ in range(workshop.size.rounds)]
        finally:
            workshop.clear(task)
