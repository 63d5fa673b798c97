"""`python -m bench`: which sections, how much, and where to."""

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

from bench.clients import FETCH
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
make bench                                # with what `make test` needs; a quarter of an hour
make bench ROUNDS=1 IDS=500               # shows in two minutes that all of it runs
make bench SECTION=pacing                 # prints one section: {sections}
make bench SECTION=scale IDS=1000000      # runs only when it is named
```

It needs Linux and two idle cores. Bun (or else Node), Go, curl and jq take part if installed.
"""
_DOUBT = "\n\n**{ids:,} IDs and {rounds} round(s) are too few to conclude anything from.**"
_ENOUGH_IDS, _ENOUGH_ROUNDS = 5_000, 3


def main() -> None:
    """Measure what the command line names."""
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
    if not hasattr(os, "sched_setaffinity"):
        sys.exit("bench: it assigns cores as only Linux can.")
    names = [given.section] if given.section else [name for name in SECTIONS if name != "scale"]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either way, nothing is left behind
    facts = machine((FETCH.command.split()[0], "go", "curl", "jq"))
    (ROOT / ".bench").mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=ROOT / ".bench") as scratch:
            context = BenchContext(Path(scratch), given.ids, given.rounds)
            sections = [SECTIONS[name](context) for name in names]
    except FailedRunError as error:
        sys.exit(f"bench: a run of the worker, or of the bare client, failed: {error}")
    except KeyboardInterrupt:
        sys.exit("bench: stopped; nothing was written.")
    sections.append(f"## Measured on\n\n{table(('what', 'which'), list(facts.items()))}")
    few = given.ids < _ENOUGH_IDS or given.rounds < _ENOUGH_ROUNDS
    doubt = _DOUBT.format(ids=given.ids, rounds=given.rounds) if few else ""
    preface = _PREFACE.format(doubt=doubt, sections=", ".join(SECTIONS))
    target = given.output or (None if given.section else ROOT / "docs" / "benchmarks.md")
    if target is not None:
        target.write_text("\n".join([preface, *sections]), encoding="utf-8")
    print("\n".join(sections))


if __name__ == "__main__":
    main()
