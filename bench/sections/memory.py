"""Whether memory grows with the number of IDs."""

from bench.clients import WORKER
from bench.measurement import Spread, interleaved
from bench.page import Claim, Section
from bench.workshop import Workshop

_GROWTH = 1.05
_PEAK_MIB = 90
_MIB = 1 << 20

_HOW = """\
The largest resident memory of `cxai run`, at a tenth of the IDs and at all, {rounds} rounds."""


def memory(workshop: Workshop) -> Section:
    """Measure the worker with few IDs and with all."""
    few, all_of_them = max(1, workshop.size.ids // 10), workshop.size.ids
    peaks: dict[int, list[float]] = {few: [], all_of_them: []}
    start = WORKER.prepare(workshop.scratch)
    with workshop.fast_server() as base_url:
        for number, ids in interleaved((few, all_of_them), workshop.size.rounds):
            run = workshop.run_once(WORKER, start, base_url, ids)
            peaks[ids].append(run.peak_bytes / _MIB)
            workshop.say(f"memory, round {number + 1}: {ids:,} IDs: {peaks[ids][-1]:.1f} MiB")
    growth = Spread.of(
        more / less for more, less in zip(peaks[all_of_them], peaks[few], strict=True)
    )
    peak = Spread.of(peaks[all_of_them])
    return Section(
        "Memory",
        _HOW.format(rounds=workshop.size.rounds),
        ("IDs", "peak MiB"),
        [(f"{ids:,}", Spread.of(some).shown(".1f")) for ids, some in peaks.items()],
        [
            Claim(
                f"peak memory at {all_of_them:,} IDs against {few:,}",
                f"≤ {_GROWTH}",
                growth.shown(".3f"),
                growth.median <= _GROWTH,
            ),
            Claim(
                f"peak memory at {all_of_them:,} IDs",
                f"≤ {_PEAK_MIB} MiB",
                f"{peak.median:.1f} MiB",
                peak.median <= _PEAK_MIB,
            ),
        ],
    )
