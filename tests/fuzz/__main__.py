"""Runs the target on ever new inputs: `make fuzz MINUTES=10`."""

import argparse
import itertools
import resource
import sys
import time
import traceback
from pathlib import Path

from fuzz.inputs import make_input
from fuzz.session import Session, complaint, first_finding, smallest
from fuzz.target import LIMITS, decode

import cxai

_REPRODUCER = Path("fuzz-failure.hex")
_TOLD_EVERY_S = 60
_MOST_RESIDENT_MIB = 512


def main():
    """Return the exit code: 0 if every promise was kept, 1 if not."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=time.time_ns() // 10**9)
    parser.add_argument("--replay", type=Path, help="check the body that a failure left here")
    asked = parser.parse_args()
    if asked.replay:
        header, body = asked.replay.read_text().split("\n")[:2]
        found = complaint(bytes.fromhex(body), bytes.fromhex(header).decode())
        print(found or "every promise was kept")
        return int(found is not None)
    print(f"{cxai.__file__}: {asked.minutes:g} minutes from seed {asked.seed}", flush=True)
    return run(asked.minutes, asked.seed)


def run(minutes, first_seed):
    session, slowest = Session(), (0.0, 0)
    start = told = time.monotonic()
    finding = None
    for seed in itertools.count(first_seed * 10**9):
        before = time.monotonic()
        finding = first_finding(session, [seed])
        now = time.monotonic()
        slowest = max(slowest, (now - before, seed))
        if finding or resident_mib() > _MOST_RESIDENT_MIB or now - start >= minutes * 60:
            break
        if now - told >= _TOLD_EVERY_S:
            told = now
            print(f"  {now - start:4.0f} s  {session.inputs:,} inputs", flush=True)
    tell(session, time.monotonic() - start, slowest)
    if finding:
        report(*finding)
    elif resident_mib() > _MOST_RESIDENT_MIB:
        print(f"FAILED: more than {_MOST_RESIDENT_MIB} MiB resident, at the latest since {seed}")
        keep(make_input(seed))
    else:
        print("every promise was kept")
        return 0
    return 1


def tell(session, took_s, slowest):
    print(f"{session.inputs:,} inputs in {took_s:.0f} s ({session.inputs / took_s:.0f}/s)")
    print(f"slowest {slowest[0]:.2f} s (seed {slowest[1]}), most memory {resident_mib()} MiB")
    for outcome, count in sorted(session.outcomes.items()):
        print(f"  {count:>9,}  {outcome}")


def report(seed, error):
    made = make_input(seed)
    traceback.print_exception(error)
    print(f"FAILED: seed {seed}: {error!r}")
    if made.retry_after:
        print(f"Retry-After was {made.retry_after!r}"[:200])
    keep(made)


def keep(made):
    """Write the input down, as small as can be had."""
    body, header = made.body, made.content_encoding
    promise = complaint(body, header)
    if promise is not None:
        decoded = decode(body, header, LIMITS)
        if isinstance(decoded, bytes) and complaint(decoded, "") == promise:
            body, header = decoded, ""
        body = smallest(body, header, promise)
    _REPRODUCER.write_text(f"{header.encode().hex()}\n{body.hex()}\n")
    print(f"Content-Encoding {header!r}, a body of {len(body)} bytes: both as hex in {_REPRODUCER}")
    print(f"again with: python -m fuzz --replay {_REPRODUCER}")


def resident_mib():
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB; bytes on macOS
    return most // (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    sys.exit(main())
