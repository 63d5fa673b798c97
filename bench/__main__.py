"""`python -m bench`: which sections, how much, and where to."""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from bench import machine
from bench.clients import BENCH_PYTHON, PEERS
from bench.measurement import ROOT, FailedRunError
from bench.page import page_text, section_text
from bench.sections import BY_DEFAULT, SECTIONS
from bench.serving import kind_of_server
from bench.workshop import Size, Workshop

PAGE = ROOT / "docs" / "benchmarks.md"
SCRATCH = ROOT / ".bench"

_ENOUGH_IDS, _ENOUGH_ROUNDS = 5_000, 3

_PREFACE = """\
<!-- Written by `make bench`: run it anew instead of changing this page. -->
The worker beside what its users would pick instead, on the same made-up bodies (256 results of
about 5, 20 and 60 kB as JSON, in shares of 30, 50 and 20 %), in one run on one machine. Ratios
travel to other machines, absolute figures don't.{doubt}

```sh
make bench                      # Linux; needs what `make test` needs, and ten minutes
make bench ROUNDS=3 IDS=5000    # a shorter one
.venv/bin/python -m bench pacing    # one section; --help names them all
```

nginx, Go, curl and jq take part where they are installed. An idle machine with two cores is best:
one is the client's, one the server's."""

_DOUBT = """

**{ids:,} IDs and {rounds} rounds are too few to conclude anything from: this shows only that all of
it runs.**"""


def main() -> None:
    """Measure what the command line names."""
    machine.require_linux()
    given = _arguments().parse_args()
    size = Size(given.ids, given.rounds, given.seconds)
    facts = machine.description()
    SCRATCH.mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=given.scratch or SCRATCH) as scratch:
            workshop = Workshop(
                Path(scratch),
                size,
                machine.cores(),
                server=kind_of_server(given.server),
                peers=frozenset(given.peers),
                say=lambda text: print(text, file=sys.stderr, flush=True),
            )
            workshop.make_corpus()
            sections = [SECTIONS[name](workshop) for name in given.sections or BY_DEFAULT]
    except FailedRunError as error:
        sys.exit(f"bench: a run of the worker, or of the bare client, failed: {error}")
    except KeyboardInterrupt:
        sys.exit("bench: stopped; nothing was written.")
    facts |= machine.versions(BENCH_PYTHON)
    facts |= {"Server": workshop.server, "Date": f"{datetime.now(UTC):%Y-%m-%d}"}
    page = page_text(_preface(size), facts, sections)
    target = given.output or (None if given.sections else PAGE)
    if target is not None:
        target.write_text(page, encoding="utf-8")
    print("\n".join(map(section_text, sections)) if given.sections else page)


def _preface(size: Size) -> str:
    enough = size.ids >= _ENOUGH_IDS and size.rounds >= _ENOUGH_ROUNDS
    doubt = "" if enough else _DOUBT.format(ids=size.ids, rounds=size.rounds)
    return _PREFACE.format(doubt=doubt)


def _arguments() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the worker beside what its users would pick instead.",
        epilog="Without a section, all but scale are run and docs/benchmarks.md is written.",
    )
    add = arguments.add_argument
    add("sections", nargs="*", choices=[*SECTIONS, []], metavar="SECTION", help=_names(SECTIONS))
    add("--ids", type=_count, default=20_000, help="IDs a run (20000)")
    add("--rounds", type=_count, default=5, help="rounds (5)")
    add("--seconds", type=float, default=10.0, help="seconds at each pace (10)")
    add("--server", choices=("auto", "nginx", "own"), default="auto", help="for throughput (auto)")
    keys = [peer.key for peer in PEERS]
    add("--peers", nargs="*", choices=keys, default=keys, metavar="PEER", help=_names(keys))
    add("--scratch", type=Path, metavar="DIR", help="where to write meanwhile (.bench)")
    add("--output", type=Path, metavar="FILE", help="where to write the page")
    return arguments


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} is less than 1")
    return count


if __name__ == "__main__":
    main()
