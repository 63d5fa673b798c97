"""What the figures are meant to be: printed after a run, and not on the page of its results."""

from collections.abc import Iterator, Mapping

_AT_LEAST: Mapping[str, float] = {
    "CPU on one core, bare": 0.36,
    "CPU on one core, bun": 0.6,
    "CPU on one core, go": 1.8,
    "CPU on one core, plain": 3.3,
    "CPU on one core, vendor": 4.3,
    "CPU on one core, curl": 5.3,
    "time on all cores, bare": 0.6,
    "time on all cores, go": 2.2,
    "share of the bound, 10 in flight": 0.98,
    "share of the bound, 64 in flight": 0.97,
    "least share of the rate": 0.995,
}
_AT_MOST: Mapping[str, float] = {
    "requests beyond the rate in a second": 0,
    "requests beyond a tenth of the rate + 1 in 0.1 s": 0,
    "CPU seconds, cxai --help": 0.20,
    "CPU seconds, one ID": 0.30,
    "seconds to the first record": 0.6,
    "time per ID, last tenth against first": 1.05,
    "books, last tenth against first": 1.10,
    "peak memory against a fiftieth of the IDs": 1.05,
    "peak memory, MB": 80,
    "ledger, bytes per ID": 32,
}


def missed(figures: Mapping[str, float]) -> Iterator[str]:
    """Yield a line for each figure that is not what it is meant to be."""
    for name, figure in figures.items():
        if not _AT_LEAST.get(name, figure) <= figure <= _AT_MOST.get(name, figure):
            yield f"{name}: {figure:.3f} instead of {_AT_LEAST.get(name) or _AT_MOST[name]:g}"
