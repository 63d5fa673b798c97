"""`python -m bench`: which sections, how much, and where to."""

import argparse
import signal
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
_LONGEST_PACE_S = 600.0

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
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # either way, nothing is left behind
    given = _arguments().parse_args()
    size = Size(given.ids, given.rounds, given.seconds)
    facts = machine.description()
    judged = size.ids >= _ENOUGH_IDS and size.rounds >= _ENOUGH_ROUNDS
    scratch_home = given.scratch or SCRATCH
    try:
        scratch_home.mkdir(exist_ok=True)
    except OSError as error:
        sys.exit(f"bench: can't write to {scratch_home}: {error.strerror}. Name another --scratch.")
    try:
        with tempfile.TemporaryDirectory(dir=scratch_home) as scratch:
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
    facts |= {"Command": f"python -m bench {' '.join(sys.argv[1:])}".strip()}
    page = page_text(_preface(size, judged=judged), facts, sections, judged=judged)
    target = given.output or (None if given.sections else PAGE)
    if target is not None:
        target.write_text(page, encoding="utf-8")
    texts = [section_text(section, judged=judged) for section in sections]
    print("\n".join(texts) if given.sections else page)


def _preface(size: Size, *, judged: bool) -> str:
    doubt = "" if judged else _DOUBT.format(ids=size.ids, rounds=size.rounds)
    return _PREFACE.format(doubt=doubt)


def _arguments() -> argparse.ArgumentParser:
    arguments = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the worker beside what its users would pick instead.",
        epilog="Without a section, all but scale are run and docs/benchmarks.md is written.",
    )
    add = arguments.add_argument
    add("sections", nargs="*", type=_section, metavar="SECTION", help=_names(SECTIONS))
    add("--ids", type=_count, default=20_000, help="IDs a run (20000)")
    add("--rounds", type=_count, default=5, help="rounds (5)")
    add("--seconds", type=_seconds, default=10.0, help="at each pace (10)")
    add("--server", choices=("auto", "nginx", "own"), default="auto", help="for throughput (auto)")
    keys = [peer.key for peer in PEERS]
    add(
        "--peers",
        nargs="*",
        choices=keys,
        default=keys,
        metavar="PEER",
        help=f"{_names(keys)} (all)",
    )
    add("--scratch", type=Path, metavar="DIR", help="where to write meanwhile (.bench)")
    add(
        "--output",
        type=Path,
        metavar="FILE",
        help="where to write the page (docs/benchmarks.md, if no section is named)",
    )
    return arguments


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)


def _section(text: str) -> str:
    if text not in SECTIONS:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {_names(SECTIONS)}")
    return text


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= _LONGEST_PACE_S:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {_LONGEST_PACE_S:.0f}")
    return seconds


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count} is less than 1")
    return count


if __name__ == "__main__":
    main()
