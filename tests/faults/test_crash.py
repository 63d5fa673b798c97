"""`kill -9` at any moment: every ID still has one verdict and one record, and its own."""

import gzip
import os
import time
from random import Random

import pytest
from support.batches import crash_at, finish, steps_of_a_run
from support.checker import assert_exact, committed_size_of_parts, size_of_parts
from support.command import cxai, environment, start_cxai
from support.leftovers import SCENARIO, go_on
from support.store import run_finished, run_killed
from support.waiting import PATIENCE_S

from cxai.output.compression import Compression
from cxai.resources.options import Shape

pytestmark = pytest.mark.long(20)

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


# Where these tests write may be memory, in which a commit is over before a kill can hit it.
WITH_A_SLOW_DISK = """
import os, time
if sync := getattr(os, "fdatasync", None):
    os.fdatasync = lambda fd: (time.sleep(0.01), sync(fd))
"""


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
        process = start_cxai(*self._command, env=ENVIRONMENT, first=WITH_A_SLOW_DISK)
        deadline = time.monotonic() + PATIENCE_S
        try:
            while not condition(process):
                assert time.monotonic() < deadline
                has_ended = process.poll() is not None  # what it awaits may be true just now
                assert not has_ended or condition(process), process.communicate()[1].decode()
                time.sleep(0.0005)
            time.sleep(self._chance.uniform(0, moment_s))  # which system call it hits is chance
        finally:
            process.kill()
            process.communicate(timeout=PATIENCE_S)
        written = size_of_parts(self._directory)
        self.with_a_tail += written > 0 and written > committed_size_of_parts(self._directory)


@pytest.mark.promise(
    "`kill -9` at random moments, up to 10 times in one export",
    "every ID has its one verdict and its own record in the end",
)
@pytest.mark.parametrize(
    ("count", "kills", "arguments"),
    [
        pytest.param(1_000, 10, [], id="nested"),
        pytest.param(400, 4, ["--shape", "tables"], id="tables"),
        pytest.param(400, 4, ["--compression", "gzip"], id="gzip"),
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
    if kills >= 10:  # a few may all miss
        assert runs.with_a_tail > 0, "no kill has hit a commit: nothing was shown"


# --- nothing left to chance: a crash at each system call ---


@pytest.mark.promise(
    "A crash or a power loss at each write, sync, truncation and rename",
    "the next run ends exact: no record lost, none twice",
)
@pytest.mark.parametrize("how", ["before", "torn", "after", "power"])
def test_a_crash_at_any_system_call_costs_no_record_and_doubles_none(how, small, tmp_path):
    ids = small(12, SCENARIO)
    steps = steps_of_a_run(tmp_path / "undisturbed", ids)
    assert {"pwritev", "fdatasync", "fsync", "rename"} <= set(steps)
    for at in range(len(steps)):
        directory = tmp_path / f"crashed-at-{at}"
        crash_at(directory, ids, at, how)
        finish(directory, ids)


def test_a_power_loss_while_the_parts_of_all_tables_are_sealed_costs_and_doubles_nothing(
    small, tmp_path
):
    ids = small(12, SCENARIO)
    form = {"shape": Shape.TABLES, "compression": Compression.GZIP, "part_bytes": 1_000}
    steps = steps_of_a_run(tmp_path / "undisturbed", ids, **form)
    assert steps.count("rename") > 7  # all tables, more than once
    for at in range(len(steps)):
        directory = tmp_path / f"crashed-at-{at}"
        crash_at(directory, ids, at, "power", **form)
        finish(directory, ids, **form)


@pytest.mark.promise("A crash during the recovery from a crash", "recovered from as from the first")
@pytest.mark.parametrize("how", ["after", "power"])
def test_a_crash_while_recovering_from_a_crash_is_recovered_from(how, small, tmp_path):
    ids = small(8, SCENARIO)
    steps = steps_of_a_run(tmp_path / "undisturbed", ids)
    for first in [at for at, name in enumerate(steps) if name in {"pwritev", "rename"}]:
        for second in range(9):  # the calls of a start, a few of its work, all of its end
            for settled in (0, len(ids)):
                directory = tmp_path / f"crashed-at-{first}-{second}-before-{settled}"
                killed = crash_at(directory, ids, first, "torn")
                crash_at(directory, ids[:settled], second, how, since=killed)
                finish(directory, ids)


# --- what a crash has left ---


@pytest.mark.promise(
    "A torn, zero-filled or garbage tail behind what was committed",
    "cut off at the next start; the export ends exact",
)
@pytest.mark.parametrize(
    "tail",
    [
        b'{"interaction_id": "torn he',
        bytes(200_000),
        os.urandom(200_000),
        b'{"interaction_id": "whole line"}\n' * 10_000,
    ],
    ids=["torn", "zero-filled", "garbage", "whole lines"],
)
def test_what_stands_behind_the_committed_bytes_is_cut(api, export, ids, tail):
    run_killed(export, ids[:30], SCENARIO)
    for part_set in ("records", "failures"):
        with (export / f"{part_set}-000001.jsonl.open").open("ab") as part:
            part.write(tail)
    assert go_on(api, export, ids[:31]).code == 0  # one ID more: shorter than most of these tails
    assert_exact(export, ids[:31], SCENARIO)


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_a_torn_frame_of_a_compressed_part_is_cut(api, export, ids, compression):
    run_killed(export, ids[:30], SCENARIO, compression=compression)
    (part,) = export.glob("records-000001.jsonl.*.open")
    part.write_bytes(part.read_bytes() + gzip.compress(b"torn" * 1_000)[:-9])
    assert go_on(api, export, ids, "--compression", compression).code == 0
    assert_exact(export, ids, SCENARIO)


def test_a_part_that_was_begun_and_never_committed_is_begun_anew(api, export, ids):
    run_killed(export, [], SCENARIO)
    (export / "records-000001.jsonl.open").write_bytes(b"never committed")
    assert go_on(api, export, ids).code == 0
    assert_exact(export, ids, SCENARIO)


@pytest.mark.promise("A crash between sealing a part and renaming it", "the next start finishes it")
@pytest.mark.parametrize("tail", [b"", b"a torn tail"])
def test_a_part_that_was_sealed_but_not_yet_renamed_is_renamed(api, export, ids, tail):
    run_finished(export, ids[:30], SCENARIO)
    for part_set in ("records", "failures"):
        part = export / f"{part_set}-000001.jsonl"
        with part.open("ab") as file:
            file.write(tail)
        part.rename(f"{part}.open")
    assert go_on(api, export, ids).code == 0
    assert_exact(export, ids, SCENARIO)
