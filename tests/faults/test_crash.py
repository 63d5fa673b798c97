"""`kill -9` at any moment: every ID still has one verdict and one record, and its own."""

import time
from contextlib import suppress
from random import Random

import pytest
from support.checker import Ledger, assert_exact
from support.command import cxai, environment, start_cxai
from support.crashing import CrashedError, Steps
from support.store import commit, opened, run_finished
from support.waiting import PATIENCE_S

from worker.errors import CommitError
from worker.simulator import Scenario, fate

TROUBLES = {
    "missing": 0.02,
    "failed": 0.02,
    "erring": 0.02,
    "corrupt": 0.02,
    "broken": 0.01,
    "garbled": 0.01,
}

ENVIRONMENT = environment(
    CXAI_BATCH="20",
    CXAI_PART_BYTES="60000",  # one or two commits
    CXAI_MAX_ATTEMPTS="3",
    CXAI_BACKOFF_BASE_S="0.01",
    CXAI_PROGRESS_S="0.1",
)

# Of 16 variants of results these have 2 to 5 kB: a kill hits the work on IDs, not on bytes.
_SMALL_VARIANTS = 3


@pytest.fixture
def small(guids):
    """Return a maker of IDs whose results are small."""

    def make(count, scenario):
        drawn = guids(8 * count)
        found = [one for one in drawn if fate(scenario, one).variant % 16 < _SMALL_VARIANTS]
        assert len(found) >= count
        return found[:count]

    return make


class KilledRuns:
    """Runs of one command into `directory`, each killed at another moment of its work."""

    def __init__(self, directory, command, seed):
        self._directory = directory
        self._command = command
        self._chance = Random(seed)
        self.with_a_tail = 0

    def kill_while_it_starts(self):
        """Kill a run that has just taken its lock, or a moment later: while it recovers."""
        lock = self._directory / ".lock"

        def has_lock(process):
            return lock.exists() and lock.read_text().endswith(f"process {process.pid}")

        self._kill_when(has_lock, moment_s=0.02)

    def kill_at(self, bytes_written):
        """Kill a run whose parts have just grown to this size together: while it commits."""
        self._kill_when(lambda _: size_of_parts(self._directory) >= bytes_written, moment_s=0.002)

    def _kill_when(self, condition, moment_s):
        process = start_cxai(*self._command, env=ENVIRONMENT)
        deadline = time.monotonic() + PATIENCE_S
        try:
            while not condition(process):
                assert time.monotonic() < deadline
                assert process.poll() is None, process.communicate()[1].decode()
                time.sleep(0.0005)
            time.sleep(self._chance.uniform(0, moment_s))  # which system call it hits is chance
        finally:
            process.kill()
            process.communicate(timeout=PATIENCE_S)
        written = size_of_parts(self._directory)
        self.with_a_tail += written > 0 and written > committed_size_of_parts(self._directory)


def size_of_parts(directory):
    size = 0
    for path in directory.glob("*.jsonl*"):
        with suppress(FileNotFoundError):  # renamed under our eyes
            size += path.stat().st_size
    return size


def committed_size_of_parts(directory):
    return sum(size for _, _, size, _, _, _ in Ledger(directory).parts)


@pytest.mark.parametrize(
    ("count", "kills", "arguments"),
    [
        pytest.param(5_000, 28, [], id="nested"),
        pytest.param(1_000, 10, ["--shape", "tables"], id="tables"),
        pytest.param(1_000, 8, ["--compression", "gzip"], id="gzip"),
    ],
)
def test_an_export_that_is_killed_again_and_again_is_exact_in_the_end(
    simulated, small, tmp_path, count, kills, arguments
):
    with simulated(**TROUBLES) as api:
        ids = small(count, api.scenario)
        (tmp_path / "ids.txt").write_text("\n".join(ids))
        common = [
            "run", tmp_path / "ids.txt", "--base-url", api.base_url, "--rate", "100000",
            "--in-flight", "64", "--max-failed", "1", *arguments,
        ]  # fmt: skip
        assert cxai(*common, "-o", tmp_path / "undisturbed", env=ENVIRONMENT).code == 0
        whole = size_of_parts(tmp_path / "undisturbed")
        export = tmp_path / "export"
        runs = KilledRuns(export, [*common, "-o", export], seed=count)
        for number in range(kills):
            if number % 4 == 3:
                runs.kill_while_it_starts()
            else:
                runs.kill_at(0.95 * whole * number / kills)
        ended = cxai(*common, "-o", export, env=ENVIRONMENT)
    assert ended.code == 0, ended.err
    assert_exact(export, ids, api.scenario)
    if kills > 20:  # a few may all miss
        assert runs.with_a_tail > 0, "no kill has hit a commit: nothing was shown"


# --- nothing left to chance: a crash at each system call ---

SCENARIO = Scenario(missing=0.2)


# A part that is sealed after its second commit, and one that is not yet.
PART_BYTES = 20_000


def _run(directory, ids, steps):
    """Settle `ids` in three batches of different sizes."""
    with opened(directory, part_bytes=PART_BYTES, steps=steps) as store:
        for settled in (6, 8, 12):
            commit(store, ids[:settled], SCENARIO, batch=6)
        store.end_run("stopped", {})


def _crash(directory, ids, at, how, since=None):
    steps = Steps(at, how, since=since)
    with suppress(CrashedError):
        _run(directory, ids, steps)
    return steps


def _steps(directory, ids):
    """Return the calls of a run that nothing disturbs."""
    steps = Steps()
    _run(directory, ids, steps)
    return steps.taken


def _finish(directory, ids):
    """Go on to the end: first by a run that writes less than the tail that it may find."""
    run_finished(directory, ids[-1:], SCENARIO)
    run_finished(directory, ids, SCENARIO)
    assert_exact(directory, ids, SCENARIO)


@pytest.mark.parametrize("how", ["before", "torn", "after", "power"])
def test_a_crash_at_any_system_call_costs_no_record_and_doubles_none(how, small, tmp_path):
    ids = small(12, SCENARIO)
    steps = _steps(tmp_path / "undisturbed", ids)
    assert {"pwritev", "fdatasync", "fsync", "rename"} <= set(steps)
    for at in range(len(steps)):
        directory = tmp_path / f"crashed-at-{at}"
        _crash(directory, ids, at, how)
        _finish(directory, ids)


@pytest.mark.parametrize("how", ["after", "power"])
def test_a_crash_while_recovering_from_a_crash_is_recovered_from(how, small, tmp_path):
    ids = small(12, SCENARIO)
    steps = _steps(tmp_path / "undisturbed", ids)
    for first in [at for at, name in enumerate(steps) if name in {"pwritev", "rename"}]:
        for second in range(9):  # the calls of a start, a few of its work, all of its end
            for settled in (0, 12):
                directory = tmp_path / f"crashed-at-{first}-{second}-before-{settled}"
                killed = _crash(directory, ids, first, "torn")
                _crash(directory, ids[:settled], second, how, since=killed)
                _finish(directory, ids)


def test_a_disk_that_fails_at_any_system_call_stops_the_run_and_costs_nothing(small, tmp_path):
    ids = small(12, SCENARIO)
    for at, name in enumerate(_steps(tmp_path / "undisturbed", ids)):
        directory = tmp_path / f"failed-at-{at}"
        steps = Steps(at, "error")
        with pytest.raises(CommitError, match=f"{directory}.*Input/output error.*Nothing is lost"):
            _run(directory, ids, steps)
        # A second sync may succeed without having written: there must be none.
        assert not {"fdatasync", "fsync"} & set(steps.taken[at + 1 :])
        if name == "pwritev":
            assert size_of_parts(directory) == committed_size_of_parts(directory)
        _finish(directory, ids)
