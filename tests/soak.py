"""A soak: one export, killed again and again while everything else goes wrong, then reconciled.

python tests/soak.py --ids 200000 --kills 50

A simulator, in a process of its own, plays its `storm`. The real command exports from it, is
killed with SIGKILL at seeded moments all along its way, and then comes to its end. After that each
ID of the input has to have its one verdict, each `ok` its own record, once, and nothing else may be
there.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request
import uuid
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from statistics import median

from support.checker import Ledger, assert_exact, committed_size_of_parts, size_of_parts
from support.command import TOKEN, cxai_argv, environment
from support.expected import AFTER_ONE, FINAL, contents, is_small, possible, wanted

from cxai.simulator import behaviour_of
from cxai.simulator.scenarios import named

# The storm with all its faults and shares; only its outages are shorter (2 s instead of 5 s), and
# come more often (every 15 s instead of every minute).
OUTAGES = {"outage_s": 2.0, "outage_every_s": 15.0}

ENVIRONMENT = environment(
    # In a storm one ID in fifty gets a 429 that is its own: a governor that takes them for a limit
    # would find no pace, and a pause of a second for each would take hours.
    CXAI_ADAPTIVE="false",
    CXAI_RETRY_AFTER_CAP_S="0.02",
    CXAI_BACKOFF_BASE_S="0.02",
    CXAI_BACKOFF_CAP_S="1",
    CXAI_RECHECK_S="0.2",
    CXAI_TOTAL_TIMEOUT_S="2",  # what drips without an end; the slow ones take one second
    CXAI_BATCH="50",
    CXAI_PART_BYTES="32000000",
    CXAI_PROGRESS="none",
)

PACE = ("--rate", "100000", "--in-flight", "64", "--max-failed", "1")

STALLED_S = 120.0
MOST_LAST_RUNS = 10
FLAT = 1.25
"""How much more memory the last third of the runs may take than the first one."""
ENOUGH_RUNS = 10
"""Fewer say nothing about that: a run that is killed early has not taken what it will."""


class Failed(Exception):  # noqa: N818 - the soak has, not the code
    """The soak can't go on."""


# --- the input ---


@dataclass
class Input:
    """What is asked for: distinct IDs in their order, and the lines that are none."""

    path: Path
    ids: list[str]
    invalid: list[str]
    counts: Counter


def make_input(path, count, scenario, chance):
    """Write `count` distinct IDs with small results, one a line, and clutter between them."""
    ids, invalid, counts = [], [], Counter()
    with path.open("w", encoding="utf-8") as file:

        def write(what, line):
            counts["lines"] += 1
            counts[what] += 1
            file.write(f"{line}\n")

        while len(ids) < count:
            one = str(uuid.UUID(int=chance.getrandbits(128), version=4))
            if not is_small(scenario, one):
                continue
            ids.append(one)
            write("ids", one)
            match chance.randrange(100):
                case 0 | 1:
                    write("duplicates", chance.choice(ids))
                case 2:
                    write("duplicates", chance.choice(ids).upper())
                case 3:
                    write("blanks", " " * chance.randrange(3))
                case 4:
                    write("comments", f"# {chance.random()}")
                case 5 if chance.random() < 0.2:
                    invalid.append(f"{one[:-1]}?{len(invalid)}")
                    write("invalid", invalid[-1])
    return Input(path, ids, invalid, counts)


def expected_bytes(scenario, ids):
    """Estimate the size of all records."""
    return sum(
        len(json.dumps(contents(scenario, one)[0], separators=(",", ":"))) + 120
        for one in ids
        if wanted(scenario, one) == "ok"
    )


# --- the simulator ---


@contextmanager
def simulator(directory, seed):
    """Play the storm in a process of its own; yield its base URL."""
    options = (
        "--port", "0", "--token", TOKEN, "--scenario", "storm", "--seed", seed,
        "--outage", OUTAGES["outage_s"], "--outage-every", OUTAGES["outage_every_s"],
    )  # fmt: skip
    with (directory / "simulator.log").open("wb") as log:
        process = subprocess.Popen(
            cxai_argv("simulate", *options),
            env=environment(), stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
    try:
        first_line = process.stdout.readline().decode()
        url = re.search(r"http://[^ ]+:[0-9]+", first_line)
        if url is None:
            raise Failed(f"The simulator did not start: see {directory / 'simulator.log'}.")
        yield url[0]
    finally:
        process.terminate()
        process.communicate(timeout=30)


def stats(base_url):
    """Return what the simulator has counted."""
    with urllib.request.urlopen(f"{base_url}/simulator/stats", timeout=30) as reply:  # noqa: S310
        return json.load(reply)


# --- the runs ---


@dataclass
class Run:
    """One start of the command, under way or over."""

    process: subprocess.Popen
    peak_kb: int = 0
    progress: float = 0.0
    working: bool = False

    def look(self):
        """Note the peak of its resident memory so far; return whether it still runs."""
        with suppress(FileNotFoundError, ProcessLookupError):
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            if "VmHWM:" in status:  # a zombie has none
                self.peak_kb = int(status.partition("VmHWM:")[2].split()[0])
        return self.process.poll() is None


@dataclass
class Soak:
    """An export into `directory`/export that is killed again and again."""

    directory: Path
    scenario: object
    asked: Input
    base_url: str
    chance: Random
    runs: list[Run] = field(default_factory=list)
    kills: Counter = field(default_factory=Counter)
    stopped: int = 0

    def __post_init__(self):
        self.export = self.directory / "export"
        self._whole = expected_bytes(self.scenario, self.asked.ids)

    def kill(self, times):
        """Kill it so many times: each fifth while it starts, the others all along its way."""
        at_starts = -(-times // 5)
        starts = set(self.chance.sample(range(times), at_starts))
        share = 0.98 / max(1, times - at_starts)
        worked = 0
        for number in range(times):
            if number in starts:
                self._kill_while_it_starts()
            else:
                self._kill_at((worked + self.chance.random()) * share)
                worked += 1

    def finish(self):
        """Run it until everything is settled that can be."""
        for _ in range(MOST_LAST_RUNS):
            if self._watch(lambda _: False) and not self._unsettled():
                return
        raise Failed(f"{MOST_LAST_RUNS} runs without a kill have not settled all.")

    def _unsettled(self):
        outcomes = Ledger(self.export).outcomes
        return [
            one
            for one in self.asked.ids
            if (verdict := outcomes.get(uuid.UUID(one).bytes)) not in FINAL
            and verdict not in possible(self.scenario, one)
        ]

    def _kill_while_it_starts(self):
        lock = self.export / ".lock"

        def has_lock(run):
            return lock.exists() and lock.read_text().endswith(f"process {run.process.pid}")

        while self._watch(has_lock, moment_s=0.5, what="starting"):
            pass

    def _kill_at(self, share):
        enough = max(share * self._whole, size_of_parts(self.export))  # it has to do something

        def is_there(_):
            return size_of_parts(self.export) > enough

        self._watch(is_there, moment_s=0.1, what="working")

    def _watch(self, condition, moment_s=0.0, what=""):
        """Run until `condition` and a moment more, then kill; return whether it has ended before.

        A run that stops by itself, resumable, is followed by another.
        """
        while True:
            run = self._start(working=what != "starting")
            if self._await(run, condition):
                deadline = time.monotonic() + self.chance.uniform(0, moment_s)
                while run.look() and time.monotonic() < deadline:
                    time.sleep(0.002)
            run.progress = size_of_parts(self.export) / self._whole
            if run.process.poll() is None:
                run.process.kill()
                run.process.wait()
                self.kills[what] += 1
                self.kills["torn"] += self._has_tail()
                return False
            if run.process.returncode != 4:
                break
            self.stopped += 1
        if run.process.returncode != 0:
            raise Failed(f"A run ended with exit code {run.process.returncode}: {self.log_tail()}")
        return True

    def _start(self, *, working):
        argv = cxai_argv(
            "run", self.asked.path, "-o", self.export, "--base-url", self.base_url, *PACE
        )
        with (self.directory / "runs.log").open("ab") as log:
            process = subprocess.Popen(argv, env=ENVIRONMENT, stdout=log, stderr=log)
        self.runs.append(Run(process, working=working))
        return self.runs[-1]

    def _await(self, run, condition):
        """Return whether the condition came true while it ran."""
        size, grown_at = -1, time.monotonic()
        while run.look():
            if condition(run):
                return True
            if (now_size := size_of_parts(self.export)) != size:
                size, grown_at = now_size, time.monotonic()
            if time.monotonic() - grown_at > STALLED_S:
                run.process.kill()
                run.process.wait()
                raise Failed(f"A run wrote nothing for {STALLED_S:.0f} s: {self.log_tail()}")
            time.sleep(0.005)
        return False

    def _has_tail(self):
        written = size_of_parts(self.export)
        return written > 0 and written > committed_size_of_parts(self.export)

    def log_tail(self):
        return (self.directory / "runs.log").read_text()[-2_000:]


# --- the reconciliation ---


def problems_of(soak, seen):
    """Return what is not as it has to be."""
    checks = {
        "the export": lambda: assert_exact(
            soak.export, soak.asked.ids, soak.scenario, invalid=soak.asked.invalid
        ),
        "the counts of the input": lambda: _check_counts(soak),
        "cxai verify": lambda: _check_verify(soak),
        "the token": lambda: _check_token(soak, seen),
        "the memory": lambda: _check_memory(soak),
    }
    problems = []
    for what, check in checks.items():
        try:
            check()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the rest checked
            where = traceback.extract_tb(error.__traceback__)[-1]
            problems.append(f"{what}: {error or where.line} ({where.name}, line {where.lineno})")
    return problems


def _check_counts(soak):
    told = json.loads((soak.export / "manifest.json").read_text())["last_run"]
    names = ("lines", "ids", "duplicates", "blanks", "comments", "invalid")
    assert {name: told[name] for name in names} == {
        name: soak.asked.counts[name] for name in names
    }, "the last run has counted other lines"


def _check_verify(soak):
    done = subprocess.run(
        cxai_argv("verify", soak.export, soak.asked.path),
        env=environment(), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def _check_token(soak, seen):
    assert seen["strays"] == seen["strays_with_token"] == 0, "redirects were followed"
    assert TOKEN not in (soak.directory / "runs.log").read_text(), "the token is in the log"


def _check_memory(soak):
    first, last = thirds_of_memory(soak)
    if len(soak.runs) < ENOUGH_RUNS:
        return
    assert last <= FLAT * first, f"it grew from {first / 1_000:.0f} to {last / 1_000:.0f} MB"


def thirds_of_memory(soak):
    """Return the median peaks (kB) of the first and the last third of the runs that did work."""
    peaks = [run.peak_kb for run in soak.runs if run.working]
    third = max(1, len(peaks) // 3)
    return median(peaks[:third]), median(peaks[-third:])


# --- the report ---


def report(soak, seen, elapsed_s, problems):
    """Yield the lines of the report."""
    asked, verdicts = soak.asked, Counter(Ledger(soak.export).outcomes.values())
    counts = ", ".join(f"{n:,} {what}" for what, n in asked.counts.items() if what != "lines")
    yield f"input     {asked.counts['lines']:,} lines: {counts}"
    killed = soak.kills["working"] + soak.kills["starting"]
    yield (
        f"runs      {len(soak.runs)} starts, {killed} kills ({soak.kills['starting']} while"
        f" starting, {soak.kills['torn']} left a torn tail), {soak.stopped} stopped by themselves,"
        f" {elapsed_s:,.0f} s"
    )
    answers = ", ".join(f"{status}: {n:,}" for status, n in seen["by_status"].items())
    yield f"requests  {seen['requests']:,} seen by the simulator; answers {answers}"
    yield f"faults    {sum(seen['by_fault'].values()):,} of {len(seen['by_fault'])} kinds"
    yield "verdicts  " + ", ".join(f"{n:,} {what}" for what, n in verdicts.most_common())
    yield f"          {_told_of_lost_answers(soak)}"
    first, last = thirds_of_memory(soak)
    peak = max(run.peak_kb for run in soak.runs)
    yield (
        f"memory    peaks: {peak / 1_000:.1f} MB at most; median of the first third of the runs"
        f" {first / 1_000:.1f} MB, of the last {last / 1_000:.1f} MB"
    )
    yield f"          by tenth of the progress: {_by_tenth(soak)} MB"
    size = size_of_parts(soak.export)
    if problems:
        yield f"NOT RECONCILED ({size:,} bytes in the parts)"
        yield from (f"  {problem}" for problem in problems)
    else:
        yield f"reconciled exactly: {size:,} bytes in the parts, each ID once, nothing else"


def _told_of_lost_answers(soak):
    outcomes = Ledger(soak.export).outcomes
    at_once = [
        one
        for one in soak.asked.ids
        if behaviour_of(soak.scenario, one).fault in AFTER_ONE
        and "ok" in possible(soak.scenario, one)
    ]
    ok = sum(outcomes.get(uuid.UUID(one).bytes) == "ok" for one in at_once)
    return (
        f"of {len(at_once):,} IDs whose first answer decides against them, {ok:,} are ok:"
        " a kill took that answer along, the next one was good"
    )


def _by_tenth(soak):
    tenths = {}
    for run in soak.runs:
        if run.working:
            tenths.setdefault(min(9, int(10 * run.progress)), []).append(run.peak_kb)
    return " ".join(f"{median(tenths[n]) / 1_000:.0f}" if n in tenths else "-" for n in range(10))


def run_soak(directory, ids, kills, seed=1, say=print):
    """Run a whole soak in an empty directory; return its problems."""
    started = time.monotonic()
    scenario = replace(named("storm"), seed=seed, **OUTAGES)
    chance = Random(seed)
    asked = make_input(directory / "ids.txt", ids, scenario, chance)
    with simulator(directory, seed) as base_url:
        soak = Soak(directory, scenario, asked, base_url, chance)
        try:
            soak.kill(kills)
            soak.finish()
        finally:
            for run in soak.runs:
                run.process.kill()
        seen = stats(base_url)
    elapsed_s = time.monotonic() - started
    problems = problems_of(soak, seen)
    for line in report(soak, seen, elapsed_s, problems):
        say(line)
    return problems


def main():
    """Run a soak as the command line says; exit 0 if all is reconciled, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ids", type=int, default=200_000, help="distinct IDs [200000]")
    parser.add_argument("--kills", type=int, default=50, help="kills [50]")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other IDs and moments")
    parser.add_argument("--directory", type=Path, help="empty one to work in; kept [temporary]")
    given = parser.parse_args()
    directory = given.directory or Path(tempfile.mkdtemp(prefix="cxai-soak-"))
    directory.mkdir(parents=True, exist_ok=True)
    try:
        problems = run_soak(directory, given.ids, given.kills, given.seed)
    except Failed as failed:
        problems = [str(failed)]
        print(failed)  # noqa: T201 - a command
    if problems or given.directory:
        print(f"Everything is in {directory}.")  # noqa: T201 - a command
    else:
        shutil.rmtree(directory)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
