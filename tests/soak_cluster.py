"""A soak of the cluster: workers, engine and object store fail again and again.

PYTHONPATH=. python tests/soak_cluster.py --ids 20000 --store s3

Four workers, each the real command, export from a simulator through one PostgreSQL. Workers are
killed and frozen beyond every lease, the engine is killed and its network cut, the object store
refuses, drops and fills up, while IDs still come in. After that each distinct ID has to have its
one verdict, each `ok` its own record, once; nothing else may be there; and the server must never
have seen more than the account is allowed. The same IDs without any of that show what it costs.
"""

import argparse
import re
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from support.cluster_checker import Exported
from support.command import TOKEN, cxai, environment
from support.expected import is_small
from support.forked import FORKS, Forked
from support.relay import Relay
from support.serving import serving
from support.soak_places import Engine, S3Store, VolumeStore

from cxai.simulator import Scenario, Simulator

SCENARIO = Scenario(
    latency_s=0.12,  # so that the limits of rate and in flight both hold workers up
    slow_s=0.5,
    missing=0.03,
    processing=0.01,
    failed=0.01,
    throttled=0.0005,  # each pauses the whole account for a second
    erring=0.03,
    slow=0.02,
    corrupt=0.02,
    broken=0.002,
    garbled=0.002,
)

REQUEST_S = 2.0
WORKER_TTL_S = 2.0
ENVIRONMENT = environment(
    CXAI_ADAPTIVE="false",  # one ID in two thousand is refused for itself: that is no limit
    CXAI_TOTAL_TIMEOUT_S=str(REQUEST_S),
    CXAI_WORKER_TTL_S=str(WORKER_TTL_S),
    CXAI_RECHECK_S="0.2",
    CXAI_BACKOFF_BASE_S="0.05",
    CXAI_BACKOFF_CAP_S="1",
    CXAI_MAX_FAILED="1",
    CXAI_PROGRESS="none",
    CXAI_GRACE_S="3",
)

WORKERS = 4
IN_FLIGHT = 40
COMPRESSION = "zstd"
STORES = {"volume": VolumeStore, "s3": S3Store}
FINISHED, STOPPED = 0, 4
MAY_END_WITH = {FINISHED, STOPPED}
ENGINE_AWAY_S = 2.0
STORE_AWAY_S = 1.5
FROZEN_S = 2 * WORKER_TTL_S + REQUEST_S
STALLED_S = 180.0
CHUNKS = 10
"""Into how many files the second half of the lines is divided, each taken in by a command."""
LEAST_IN_CHUNK = 80


class Failed(Exception):  # noqa: N818 - the soak has, not the code
    """The soak can't go on."""


# --- the input ---


@dataclass(frozen=True)
class Input:
    """What is asked for: distinct IDs, and lines that have some of them twice."""

    ids: list[str]
    lines: list[str]

    def write(self, directory):
        """Write the lines into files: the first has half of them."""
        half = len(self.lines) // 2
        step = max(LEAST_IN_CHUNK, -(-half // CHUNKS))
        parts = [self.lines[:half]]
        parts += [self.lines[at : at + step] for at in range(half, len(self.lines), step)]
        paths = [directory / f"ids-{number:02d}.txt" for number in range(len(parts))]
        for path, part in zip(paths, parts, strict=True):
            path.write_text("".join(f"{one}\n" for one in part))
        return paths


def make_input(count, chance):
    """Return `count` distinct IDs with small results, and a fifth as many repeated lines."""
    ids = []
    while len(ids) < count:
        one = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        if is_small(SCENARIO, one):
            ids.append(one)
    lines = ids + chance.choices(ids, k=count // 5)
    chance.shuffle(lines)
    return Input(ids, lines)


# --- the workers ---


@dataclass
class Worker:
    """A process that runs the command, started again when it ends."""

    number: int
    process: Forked
    is_frozen: bool = False

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        self.is_frozen = True

    def wake(self):
        self.process.send_signal(signal.SIGCONT)
        self.is_frozen = False


@dataclass
class Cluster:
    """An export in `engine`, and the workers on it."""

    name: str
    directory: Path
    engine: Engine
    store: object
    base_url: str
    rate: float
    in_flight: int
    workers: list[Worker] = field(default_factory=list)
    ended: Counter = field(default_factory=Counter)
    started: int = 0

    @property
    def url(self):
        return self.engine.url(self.name)

    def create(self):
        destination = f"{self.store.destination}/{self.name}"
        self.command(
            "cluster", "init", self.url_without_export, "--export", self.name, "-o", destination,
            "--rate", self.rate, "--in-flight", self.in_flight, "--compression", COMPRESSION,
            "--base-url", self.base_url, "--flush", 1,
        )  # fmt: skip

    @property
    def url_without_export(self):
        return self.url.partition("#")[0]

    def command(self, *arguments, may_fail=False):
        """Run a command to its end; return its exit code and output."""
        ended = cxai(*arguments, env=self.environment, timeout_s=STALLED_S)
        said = ended.out + ended.err
        if ended.code and not may_fail:
            raise Failed(f"cxai {arguments[0]} ended with {ended.code}: {said[-2_000:]}")
        return ended.code, said

    @property
    def environment(self):
        return {**ENVIRONMENT, **self.store.environment}

    def log_of(self, number):
        return self.directory / f"{self.name}-worker-{number}.log"

    def start(self, number):
        self.started += 1
        command = ("run", self.url, "--until-settled")
        return Worker(number, self.start_process(command, self.log_of(number)))

    def start_process(self, command, log):
        with log.open("ab") as file:
            return FORKS.start(command, self.environment, log=file)

    def start_all(self):
        self.workers = [self.start(number) for number in range(WORKERS)]

    def replace(self, worker):
        """Start another process in the place of one that has ended."""
        self.workers[self.workers.index(worker)] = self.start(worker.number)

    def tend(self):
        """Note who has ended, and replace who stopped early. Return whether any still works."""
        for worker in list(self.workers):
            code = worker.process.poll()
            if code is None:
                continue
            if code == FINISHED:
                self.workers.remove(worker)
            else:
                self.ended[code] += 1
                self.replace(worker)
            if code not in MAY_END_WITH:
                raise Failed(f"A worker ended with {code}: {self.log_tail(worker.number)}")
        return bool(self.workers)

    def log_tail(self, number):
        return self.log_of(number).read_text(errors="replace")[-3_000:]

    def close(self):
        for worker in self.workers:
            worker.process.kill()
            worker.process.wait()


class Feed:
    """Takes in files of IDs, one after the other, each by the real command."""

    def __init__(self, cluster, paths, every_s):
        self._cluster, self._left, self._every_s = cluster, list(paths), every_s
        self._log = cluster.directory / f"{cluster.name}-enqueue.log"
        self._next_at = time.monotonic()
        self.process = None

    @property
    def is_over(self):
        return not self._left and self.process is None

    def tend(self):
        """Start what is due. A command that was stopped or killed runs again."""
        if self.process is not None and (code := self.process.poll()) is not None:
            if code == FINISHED:
                self._left.pop(0)
            elif code not in MAY_END_WITH | {-signal.SIGKILL}:
                raise Failed(f"cxai enqueue ended with {code}: {self._log.read_text()[-2_000:]}")
            self.process = None
        if self.process is None and self._left and time.monotonic() > self._next_at:
            self._next_at = time.monotonic() + self._every_s
            last = ("--last",) if len(self._left) == 1 else ()
            command = ("enqueue", self._left[0], "--to", self._cluster.url, *last)
            self.process = self._cluster.start_process(command, self._log)

    def kill(self):
        """Kill the command that is under way; return whether there was one."""
        if self.process is None or self.process.poll() is not None:
            return False
        self.process.kill()
        self.process.wait()
        return True


# --- the disturbances ---


@dataclass
class Chaos:
    """What befalls a cluster, at seeded moments."""

    cluster: Cluster
    feed: Feed
    chance: Random
    seconds: float
    counts: Counter = field(default_factory=Counter)

    def __post_init__(self):
        self._began = time.monotonic()
        self._later = []
        self._acts = {
            # what: (seconds from one to the next, act)
            "kills": (1.5, self._kill),
            "freezes": (9.0, self._freeze),
            "engine kills": (25.0, self._kill_engine),
            "network cuts": (12.0, self._cut),
            "store faults": (10.0, self._break_store),
            "killed enqueues": (15.0, self.feed.kill),
        }
        self._next = {what: self._moment_after(every) for what, (every, _) in self._acts.items()}

    def _moment_after(self, every_s):
        return time.monotonic() + self.chance.uniform(0.5, 1.5) * every_s

    def act(self):
        """Do what is due."""
        now = time.monotonic()
        due = [end for at, end in self._later if now >= at]
        self._later = [(at, end) for at, end in self._later if now < at]
        for end in due:
            end()
        if now - self._began > self.seconds:
            return
        for what, (every_s, act) in self._acts.items():
            if now >= self._next[what]:
                self.counts[what] += act()
                self._next[what] = self._moment_after(every_s)

    def end(self):
        """Take back what still is in effect."""
        for _, end in self._later:
            end()
        self._later = []

    def _after(self, seconds, end):
        self._later.append((time.monotonic() + seconds, end))

    def _awake(self):
        awake = [one for one in self.cluster.workers if not one.is_frozen]
        return self.chance.choice(awake) if awake else None

    def _kill(self):
        if worker := self._awake():
            worker.process.kill()
            worker.process.wait()
            self.cluster.replace(worker)
        return worker is not None

    def _freeze(self):
        """Stop a worker for longer than all of its leases, so that it wakes up as a zombie."""
        if worker := self._awake():
            worker.freeze()
            self._after(FROZEN_S, worker.wake)
        return worker is not None

    def _kill_engine(self):
        server = self.cluster.engine.server
        server.kill()
        self._after(ENGINE_AWAY_S, server.start)
        return True

    def _cut(self):
        self.cluster.engine.relay.drop_all()
        return True

    def _break_store(self):
        self.cluster.store.fail()
        self._after(STORE_AWAY_S, self.cluster.store.recover)
        return True


# --- the runs ---


@dataclass(frozen=True)
class Measured:
    """What a run took, and what the server has seen of it."""

    elapsed_s: float
    requests: int
    max_in_flight: int
    max_per_second: int
    round_trips: int
    engine_cpu_s: float


def run_export(cluster, feed, simulator, front, chaos=None):
    """Export what the cluster has, and what the feed brings; return what was measured."""
    engine = cluster.engine
    trips, cpu_s, started = len(engine.relay.arrivals), engine.cpu_s, time.monotonic()
    cluster.start_all()
    quiet_since, requests = time.monotonic(), 0
    while cluster.tend() or not feed.is_over:
        feed.tend()
        if chaos:
            chaos.act()
        if simulator.stats.requests != requests:
            quiet_since, requests = time.monotonic(), simulator.stats.requests
        if time.monotonic() - quiet_since > STALLED_S:
            _, status = cluster.command("status", cluster.url, may_fail=True)
            raise Failed(f"Nothing was requested for {STALLED_S:.0f} s: {status}")
        time.sleep(0.02)
    if chaos:
        chaos.end()
    return Measured(
        time.monotonic() - started,
        simulator.stats.requests,
        simulator.stats.max_in_flight,
        front.max_per_second,
        len(engine.relay.arrivals) - trips,
        engine.cpu_s - cpu_s,
    )


def problems_of(cluster, exported, asked, measured):
    """Return what is not as it has to be."""
    problems = list(exported.problems(asked.ids, SCENARIO))
    if measured.max_in_flight > cluster.in_flight:
        problems.append(f"{measured.max_in_flight} requests were in flight at the server")
    if measured.max_per_second > cluster.rate:
        problems.append(f"{measured.max_per_second} requests came within a second")
    if exported.lines < len(asked.lines):
        problems.append(f"only {exported.lines} lines were counted")
    if exported.lines - exported.duplicates != len(asked.ids):
        problems.append(f"{exported.lines} lines, {exported.duplicates} duplicates do not add up")
    code, said = cluster.command("verify", cluster.url, may_fail=True)
    if code != FINISHED:
        problems.append(f"cxai verify ended with {code}: {said[-1_000:]}")
    for log in cluster.directory.glob("*.log"):
        text = log.read_text(errors="replace")
        problems += [f"{log.name} has {what}" for what in (TOKEN, "Traceback") if what in text]
    return problems


def figures(cluster, exported, asked, measured):
    """Yield lines that say what was asked, made and measured."""
    count = len(asked.ids)
    verdicts = Counter(exported.outcomes.values())
    yield f"IDs           {count:,} distinct of {exported.lines:,} lines"
    yield "verdicts      " + ", ".join(f"{n:,} {verdict}" for verdict, n in verdicts.most_common())
    yield f"took          {measured.elapsed_s:,.1f} s, {count / measured.elapsed_s:,.1f} IDs/s"
    yield (
        f"requests      {measured.requests / count:.3f} an ID; most in flight"
        f" {measured.max_in_flight} of {cluster.in_flight}, most within a second"
        f" {measured.max_per_second} of {cluster.rate:g}"
    )
    yield f"objects       {len(exported.log):,}, and {len(exported.orphans):,} orphans"
    yield f"round trips   {measured.round_trips / count:.3f} an ID"


def run_soak(directory, ids, *, seconds=180.0, rate=300.0, seed=1, store="volume", calm=True,
             say=print):  # fmt: skip
    """Run a whole soak in an empty directory; return its problems."""
    chance = Random(seed)
    asked = make_input(ids, chance)
    parts = asked.write(directory)
    problems = []
    with ExitStack() as stack:
        engine = Engine(stack)
        place = STORES[store](directory, stack)
        for name in ("chaos", "calm") if calm else ("chaos",):
            simulator = stack.enter_context(serving(Simulator(SCENARIO, token=TOKEN)))
            front = stack.enter_context(serving(Relay(_port_of(simulator.base_url))))
            base_url = f"http://127.0.0.1:{front.port}"
            cluster = Cluster(name, directory, engine, place, base_url, rate, IN_FLIGHT)
            stack.callback(cluster.close)
            cluster.create()
            cluster.command("enqueue", parts[0], "--to", cluster.url)
            feed = Feed(cluster, parts[1:], every_s=ids / rate / len(parts))
            chaos = Chaos(cluster, feed, chance, seconds) if name == "chaos" else None
            measured = run_export(cluster, feed, simulator, front, chaos)
            exported = Exported(engine.database, name, place.reader(name), COMPRESSION)
            found = problems_of(cluster, exported, asked, measured)
            say(f"--- {name}")
            for line in figures(cluster, exported, asked, measured):
                say(line)
            if chaos:
                for line in disturbances(chaos):
                    say(line)
            else:
                say(f"engine CPU    {1_000 * measured.engine_cpu_s / ids:.3f} ms an ID")
            say("NOT EXACT" if found else "exact: each ID once, nothing lost, nothing else there")
            for problem in found:
                say(f"  {problem}")
            problems += [f"{name}: {problem}" for problem in found]
    return problems


def disturbances(chaos):
    """Yield lines that say what befell the workers."""
    cluster = chaos.cluster
    yield "disturbances  " + ", ".join(f"{n} {what}" for what, n in chaos.counts.items())
    yield f"object store  {cluster.store.faults}"
    by_itself = ", ".join(f"{n} with exit code {code}" for code, n in cluster.ended.items())
    yield f"workers       {cluster.started} started; ended by themselves: {by_itself or 'none'}"


def _port_of(url):
    return int(re.search(r":(\d+)$", url)[1])


def main():
    """Run a soak as the command line says; exit 0 if all is exact, else 1."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ids", type=int, default=20_000, help="distinct IDs [20000]")
    parser.add_argument(
        "--seconds", type=float, default=180.0, help="of disturbance, at most [180]"
    )
    parser.add_argument("--rate", type=float, default=300.0, help="requests per second [300]")
    parser.add_argument("--store", choices=STORES, default="volume")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other IDs and moments")
    parser.add_argument("--directory", type=Path, help="empty one to work in; kept [temporary]")
    given = parser.parse_args()
    directory = given.directory or Path(tempfile.mkdtemp(prefix="cxai-soak-cluster-"))
    directory.mkdir(parents=True, exist_ok=True)
    try:
        problems = run_soak(
            directory, given.ids, seconds=given.seconds, rate=given.rate, seed=given.seed,
            store=given.store,
        )  # fmt: skip
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
