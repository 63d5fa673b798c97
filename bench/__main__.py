"""`python -m bench`: what is measured, where it is written, and which targets were missed."""

import argparse
import math
import os
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.comparison import table
from bench.context import BenchContext
from bench.measurement import ROOT, FailedRunError, machine
from bench.sections import SECTIONS

_PREFACE = """\
# Benchmarks

<!-- Written by `make bench`: run it instead of changing this page. -->
The worker beside what its users would pick instead, on the same made-up bodies (chats of 2 kB of
JSON, calls on one channel of 5, calls of 20 and long ones of 60 on two: 24 on average), in one run
on one machine. Ratios travel to other machines, absolute figures don't. Why they are what they
are: [performance.md](performance.md).{doubt}

```sh
make bench                      # Linux; needs what `make test` needs, and a quarter of an hour
make bench ROUNDS=1 IDS=500     # shows in two minutes that all of it runs, and nothing else
.venv/bin/python -m bench pacing                 # one section; --help names them all
.venv/bin/python -m bench scale --ids 1000000    # runs only when it is named
```

Bun, Node, Go, curl and jq take part where they are installed. Use an idle machine with two cores at
least, one for the client and one for the server.
"""
_DOUBT = "\n\n**{ids:,} IDs and {rounds} rounds are too few to conclude anything from.**"
_ENOUGH_IDS, _ENOUGH_ROUNDS = 5_000, 3

_TARGETS = {
    "CPU on one core, bare": (0.36, math.inf),
    "CPU on one core, bun": (0.6, math.inf),
    "CPU on one core, go": (1.8, math.inf),
    "CPU on one core, plain": (3.3, math.inf),
    "CPU on one core, vendor": (4.3, math.inf),
    "CPU on one core, curl": (5.3, math.inf),
    "time on all cores, bare": (0.6, math.inf),
    "time on all cores, go": (2.2, math.inf),
    "share of the bound, 10 in flight": (0.98, math.inf),
    "share of the bound, 64 in flight": (0.97, math.inf),
    "least share of the rate": (0.995, math.inf),
    "requests beyond the rate in a second": (-math.inf, 0),
    "requests beyond a tenth of the rate + 1 in 0.1 s": (-math.inf, 0),
    "CPU seconds, cxai --help": (0, 0.20),
    "CPU seconds, one ID": (0, 0.30),
    "seconds to the first record": (0, 0.6),
    "time per ID, last tenth against first": (0, 1.05),
    "books, last tenth against first": (0, 1.10),
    "peak memory against a fiftieth of the IDs": (0, 1.05),
    "peak MiB": (0, 80),
    "ledger, bytes per ID": (0, 32),
}
"""The least and the most that a figure is meant to be: for us, printed after a run."""


def main() -> None:
    """Measure what the command line names."""
    if not hasattr(os, "sched_setaffinity"):
        sys.exit("bench: cores are assigned with Linux's sched_setaffinity; this is not Linux.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either way, nothing is left behind
    given = _given()
    facts = machine(("go", "bun", "node", "curl", "jq")) | {"Date": f"{datetime.now(UTC):%Y-%m-%d}"}
    names = [given.section] if given.section else [name for name in SECTIONS if name != "scale"]
    (ROOT / ".bench").mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=ROOT / ".bench") as scratch:
            context = BenchContext(Path(scratch), given.ids, given.rounds, _report)
            sections = [SECTIONS[name](context) for name in names]
    except FailedRunError as error:
        sys.exit(f"bench: a run of the worker, or of the bare client, failed: {error}")
    except KeyboardInterrupt:
        sys.exit("bench: stopped; nothing was written.")
    enough = given.ids >= _ENOUGH_IDS and given.rounds >= _ENOUGH_ROUNDS
    doubt = "" if enough else _DOUBT.format(ids=given.ids, rounds=given.rounds)
    texts = [section.text() for section in sections]
    measured_on = f"## Measured on\n\n{table(('what', 'which'), list(facts.items()))}"
    target = given.output or (None if given.section else ROOT / "docs" / "benchmarks.md")
    if target is not None:
        page = [_PREFACE.format(doubt=doubt), *texts, measured_on]
        target.write_text("\n".join(page), encoding="utf-8")
    print("\n".join(texts))
    for name, figure in (pair for section in sections for pair in section.figures.items()):
        least, most = _TARGETS.get(name, (figure, figure))
        if enough and not least <= figure <= most:
            _report(f"missed: {name}: {figure:.3f}, not from {least} to {most}")


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _given() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the worker beside what its users would pick instead.",
        epilog="Without a section, all but scale are run and docs/benchmarks.md is written.",
    )
    arguments.add_argument("section", nargs="?", choices=SECTIONS)
    arguments.add_argument("--ids", type=int, default=20_000, help="IDs a run (20000)")
    arguments.add_argument("--rounds", type=int, default=5, help="rounds (5)")
    arguments.add_argument("--output", type=Path, metavar="FILE", help="where to write the page")
    given = arguments.parse_args()
    if given.ids < 1 or given.rounds < 1:
        arguments.error("--ids and --rounds have to be 1 or more")
    return given


if __name__ == "__main__":
    main()
