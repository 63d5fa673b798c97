"""Whether memory grows with the number of IDs."""

from bench.clients import WORKER
from bench.measurement import Spread, interleaved
from bench.page import Claim, Section
from bench.workshop import Workshop

_GROWTH = 1.05
_PEAK_MIB = 90
_MIB = 1 << 20

_TIMES_MORE = 3

_HOW = """\
The largest resident memory of `cxai run`, with some IDs and with {times} times as many, {rounds}
rounds. With 1,000,000: `python -m bench scale --ids 1000000`."""


def memory(workshop: Workshop) -> Section:
    """Measure the worker with some IDs and with more."""
    few, more = workshop.size.ids, _TIMES_MORE * workshop.size.ids
    rounds = (workshop.size.rounds + 1) // 2
    peaks: dict[int, list[float]] = {few: [], more: []}
    start = WORKER.prepare(workshop.scratch)
    with workshop.fast_server() as base_url:
        for number, ids in interleaved((few, more), rounds):
            run = workshop.run_once(WORKER, start, base_url, ids)
            peaks[ids].append(run.peak_bytes / _MIB)
            workshop.say(f"memory, round {number + 1}: {ids:,} IDs: {peaks[ids][-1]:.1f} MiB")
    growth = Spread.of(
        greater / less for greater, less in zip(peaks[more], peaks[few], strict=True)
    )
    peak = Spread.of(peaks[more])
    return Section(
        "Memory",
        _HOW.format(times=_TIMES_MORE, rounds=rounds),
        ("IDs", "peak MiB"),
        [(f"{ids:,}", Spread.of(some).shown(".1f")) for ids, some in peaks.items()],
        [
            Claim(
                f"peak memory at {more:,} IDs against {few:,}",
                f"≤ {_GROWTH}",
                growth.shown(".3f"),
                growth.median <= _GROWTH,
            ),
            Claim(
                f"peak memory at {more:,} IDs",
                f"≤ {_PEAK_MIB} MiB",
                f"{peak.median:.1f} MiB",
                peak.median <= _PEAK_MIB,
            ),
        ],
    )
