"""A disk that fails or turns read-only stops the run with the reason, and no record is lost."""

import ctypes

import pytest
from support.batches import finish, run_batches, steps_of_a_run
from support.checker import assert_exact, committed_size_of_parts, size_of_parts
from support.command import environment
from support.crashing import Steps
from support.leftovers import SCENARIO, go_on
from support.running import end_input, ended, running
from support.small_disk import system
from support.store import commit, entries_of, opened, run_finished
from support.waiting import wait_until_blocking

from cxai.errors import CommitError
from cxai.ledger.disk_failure import DatabaseError, DiskFailure
from cxai.ledger.sqlite import SqliteDatabase
from cxai.output.compression import Compression
from cxai.resources.options import Shape

# A disk whose syncs fail from the second commit on; all syncs are listed.
FAILING_SYNC = """
import errno, os
from pathlib import Path

log = Path(os.environ["SYNCS"])
def watched(name, sync):
    def step(fd):
        with log.open("a") as file:
            print(name, file=file)
        if log.read_text().count("fdatasync") >= 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(fd)
    return step
os.fdatasync = watched("fdatasync", os.fdatasync)
os.fsync = watched("fsync", os.fsync)
"""


@pytest.mark.parametrize("is_durable", [True, False])
@pytest.mark.parametrize("compression", [Compression.NONE, Compression.GZIP])
def test_a_batch_that_may_be_durable_is_left_in_place(
    small, tmp_path, monkeypatch, is_durable, compression
):
    ids = small(12, SCENARIO)
    how = {"shape": Shape.TABLES, "compression": compression}
    plainly = SqliteDatabase.commit

    def commit_on_a_failing_disk(*arguments, **named):
        if is_durable:
            plainly(*arguments, **named)
        raise DatabaseError(DiskFailure("disk I/O error", "fix the disk"))

    with opened(tmp_path, **how) as store:
        commit(store, ids[:4], SCENARIO, shape=Shape.TABLES)
        with monkeypatch.context() as patch:
            patch.setattr(SqliteDatabase, "commit", commit_on_a_failing_disk)
            with pytest.raises(CommitError, match=r"Can't make what .* durable: disk I/O error"):
                commit(store, ids[4:], SCENARIO, shape=Shape.TABLES)
    with opened(tmp_path, **how) as store:
        assert store.admit(entries_of(ids)).settled.total() == (12 if is_durable else 4)
    run_finished(tmp_path, ids, SCENARIO, **how)
    assert_exact(tmp_path, ids, SCENARIO)


@pytest.mark.promise(
    "EIO from fsync", "the run stops with code 4; no second sync is tried", group="Disk"
)
def test_a_failed_sync_stops_the_run_and_is_not_repeated(api, export, ids, tmp_path):
    env = environment(CXAI_BATCH="5", SYNCS=str(tmp_path / "syncs"))
    done = go_on(api, export, ids, env=env, first=FAILING_SYNC)
    assert done.code == 4, done.err
    assert "Input/output error" in done.out + done.err
    syncs = (tmp_path / "syncs").read_text().split()
    assert (syncs.count("fdatasync"), syncs[-1]) == (2, "fdatasync")
    assert go_on(api, export, ids).code == 0
    assert_exact(export, ids, SCENARIO)


@pytest.mark.promise(
    "The disk fails (EIO) at any single system call",
    "the run stops without another sync, and the next one ends exact",
    group="Disk",
)
def test_a_disk_that_fails_at_any_system_call_stops_the_run_and_loses_nothing(small, tmp_path):
    ids = small(12, SCENARIO)
    for at, name in enumerate(steps_of_a_run(tmp_path / "undisturbed", ids)):
        directory = tmp_path / f"failed-at-{at}"
        steps = Steps(at, "error")
        with pytest.raises(CommitError, match=f"{directory}.*Input/output error.*Nothing is lost"):
            run_batches(directory, ids, steps)
        # A second sync may succeed without having written: there must be none.
        assert not {"fdatasync", "fsync"} & set(steps.taken[at + 1 :])
        if name == "pwritev":
            assert size_of_parts(directory) == committed_size_of_parts(directory)
        finish(directory, ids)


@pytest.mark.promise(
    "The output directory is on a read-only disk",
    "code 2 and the reason, before any request",
    group="Disk",
)
def test_a_read_only_disk_is_refused_with_the_reason(api, ids, small_disk):
    disk = small_disk(1_000)
    system("mount", "-o", "remount,ro", disk)
    ended = go_on(api, disk / "export", ids)
    assert ended.code == 2
    assert "Read-only file system" in ended.err
    assert api.stats.requests == 0


# A disk that is read-only from the third batch on.
READ_ONLY = """
import errno, os

code, written = getattr(errno, os.environ["ERROR"]), []
def guarded(name):
    plainly = getattr(os, name)
    def call(*arguments, **named):
        written.extend([name] * (name == "pwritev"))
        creates = name != "open" or arguments[1] & (os.O_CREAT | os.O_WRONLY | os.O_RDWR)
        if len(written) > 2 and creates:
            raise OSError(code, os.strerror(code), str(arguments[0]))
        return plainly(*arguments, **named)
    return call
for name in ("pwritev", "pwrite", "ftruncate", "open", "unlink", "rename", "mkdir", "chmod"):
    setattr(os, name, guarded(name))
"""


@pytest.mark.promise(
    "The disk becomes read-only, or fails for good, during a run",
    "code 4 with the disk's reason, whatever else fails at the end; the same command resumes",
    group="Disk",
)
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("EROFS", "Read-only file system. Nothing is lost: make the file system writable again"),
        ("EACCES", "Permission denied. Nothing is lost: restore the permission to write there"),
        ("EIO", "Input/output error. Nothing is lost: fix the disk"),
        ("ESTALE", "Stale file handle. Nothing is lost: mount the file system again"),
    ],
)
def test_a_disk_that_becomes_read_only_stops_the_run(api, export, ids, code, message):
    env = environment(CXAI_BATCH="5", ERROR=code)
    done = go_on(api, export, ids, env=env, first=READ_ONLY)
    assert done.code == 4, done.err
    assert f"Can't write to {export}: {message}" in done.out + done.err
    (export / "progress.json").unlink(missing_ok=True)  # a run would replace it
    run_finished(export, ids, SCENARIO)
    assert_exact(export, ids, SCENARIO)


def as_any_user():
    """Let this process obey the modes of files, although it may be root."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability)  # PR_CAPBSET_DROP


def test_a_directory_that_becomes_read_only_stops_the_run(api, export, ids):
    env = environment(CXAI_BATCH="1", CXAI_PART_BYTES="1")  # each record is another new file
    with running(api, export, ids[:20], input_ends=False, env=env, preexec_fn=as_any_user) as run:
        wait_until_blocking(lambda: list(export.glob("records-*.jsonl")), "the first part")
        export.chmod(0o500)
        try:
            run.stdin.write("".join(f"{one}\n" for one in ids[20:]).encode())
            end_input(run)
            code, out, err = ended(run)
        finally:
            export.chmod(0o700)
    assert code == 4, err
    assert "Permission denied. Nothing is lost: restore the permission" in out + err
    assert go_on(api, export, ids, env=env).code == 0
    assert_exact(export, ids, SCENARIO)


def test_an_output_path_that_is_a_file_is_refused(api, export, ids):
    export.write_text("not a directory")
    ended = go_on(api, export, ids)
    assert ended.code == 2
    assert f"Can't use {export} as the output directory: " in ended.err
