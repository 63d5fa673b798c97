"""A disk that is full, or out of inodes: the run waits or stops, and no record is lost."""

import errno
import json
import os
import shutil
import sqlite3
import uuid

import pytest
from support.batches import finish, run_batches, steps_of_a_run
from support.checker import assert_exact, committed_size_of_parts, size_of_parts
from support.command import cxai, environment, rows
from support.crashing import Steps
from support.in_process import cxai_here
from support.leftovers import SCENARIO, go_on
from support.running import ended, running, wait_for_line
from support.store import REPORT, commit, entries_of, opened, outcomes_of, run_finished

from cxai.errors import CommitError, DiskFullError
from cxai.inspect.verify import verify_export
from cxai.ledger.disk_failure import DatabaseError, Shortage, failure_of
from cxai.ledger.sqlite_connection import database_error
from cxai.output.compression import Compression
from cxai.policy.verdict import Verdict
from cxai.resources.options import Shape
from cxai.simulator import Scenario


@pytest.mark.promise(
    "The disk stays full",
    "the run stops with code 4 and says so; with free space, the same command ends exact",
)
@pytest.mark.parametrize("size_kib", [8, 32, 250])
def test_a_full_disk_stops_the_run_which_resumes_once_there_is_space(
    api, ids, small_disk, size_kib
):
    export = small_disk(size_kib) / "export"
    ended = go_on(api, export, ids, "--in-flight", "2", env=environment(CXAI_DISK_PATIENCE_S="0"))
    assert ended.code == 4
    assert "Traceback" not in ended.err
    assert "full" in ended.out + ended.err or "No space left" in ended.out + ended.err
    assert "free up space, and run the same command again" in ended.out + ended.err
    small_disk(20_000)
    assert go_on(api, export, ids).code == 0
    assert_exact(export, ids, SCENARIO)


# A disk without space for a batch from the third on, but for smaller writes.
NO_SPACE_FOR_BATCHES = """
import errno, os

plainly, written = os.pwritev, []
def pwritev(fd, chunks, offset):
    written.append(fd)
    if len(written) > 2:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return plainly(fd, chunks, offset)
os.pwritev = pwritev
"""


@pytest.mark.promise(
    "The disk stays full, but has space for a clean shutdown",
    "the parts are sealed; manifest, status and verify show a run that was stopped",
)
def test_a_run_that_a_full_disk_stops_shuts_down_cleanly(api, export, ids):
    env = environment(CXAI_DISK_PATIENCE_S="0", CXAI_BATCH="5")
    done = go_on(api, export, ids, "--json", env=env, first=NO_SPACE_FOR_BATCHES)
    assert done.code == 4, done.err
    report = done.json
    assert "No space left" in report["stopped_by"]
    settled = report["verdicts"]["ok"]
    assert 0 < settled < len(ids)
    assert [run["ended"] for run in cxai("status", export, "--json").json["runs"]] == ["stopped"]
    assert len(rows(export)) == settled  # sealed
    assert not any(part.stat().st_size for part in export.glob("*.open"))
    assert json.loads((export / "manifest.json").read_text())["last_run"]["ended"] == "stopped"
    assert cxai("verify", export).code == 4  # intact, but not complete
    assert go_on(api, export, ids).code == 0
    assert_exact(export, ids, SCENARIO)


def test_the_truncation_of_a_batch_is_durable_before_its_part_is_sealed(ids, tmp_path):
    calls = Steps()
    with opened(tmp_path, steps=calls) as store:
        commit(store, ids[:5], SCENARIO)
        store._parts.cut_back()
        begun = len(calls.taken)
        store.end_run("stopped", {})
        sealing = calls.taken[begun:]
        assert sealing.index("ftruncate") < sealing.index("fdatasync") < sealing.index("rename")
    run_finished(tmp_path, ids, SCENARIO)
    assert_exact(tmp_path, ids, SCENARIO)


@pytest.mark.promise(
    "The disk is full for a while", "the run waits, says so, and continues with free space; exact"
)
def test_a_run_waits_for_a_full_disk_and_continues_once_there_is_space(api, ids, small_disk):
    export = small_disk(400) / "export"
    env = environment(CXAI_BATCH="5", CXAI_PROGRESS_S="0.1")
    with running(api, export, ids, env=env) as run:
        wait_for_line(
            run, f"waiting for space in {export} \\(.* s of up to 600 s\\): the disk is full"
        )
        small_disk(20_000)
        assert ended(run)[0] == 0
    assert_exact(export, ids, SCENARIO)


@pytest.mark.promise(
    "The disk has no inodes left, but bytes",
    "reported as such, not as a full disk; the run waits, and continues with free inodes; exact",
)
def test_a_run_waits_for_a_disk_without_inodes_and_says_so(api, ids, small_disk):
    export = small_disk(20_000, inodes=7) / "export"
    # The root, the export, .lock, the ledger, its log, one part: none is left for the other part.
    env = environment(CXAI_BATCH="5", CXAI_PROGRESS_S="0.1")
    with running(api, export, ids, env=env) as run:
        wait_for_line(
            run,
            f"waiting for space in {export} \\(.* s of up to 600 s\\):"
            r" the disk has no inodes left \(it holds too many files\)",
        )
        small_disk(20_000, inodes=100)
        assert ended(run)[0] == 0
    assert_exact(export, ids, SCENARIO)


@pytest.mark.parametrize("inodes", range(1, 7))
def test_a_disk_without_inodes_stops_the_run_and_says_so(
    api, ids, small_disk, tmp_path, capsys, inodes
):
    export = small_disk(20_000, inodes=inodes) / "export"
    (tmp_path / "ids.txt").write_text("\n".join(ids))
    ended = cxai_here(
        capsys, "run", tmp_path / "ids.txt", "-o", export, "--base-url", api.base_url,
        "--rate", "100000", CXAI_DISK_PATIENCE_S="0",
    )  # fmt: skip
    assert ended.code == 4, ended.err
    assert "No space left" in ended.out + ended.err or "unable to open" in ended.out + ended.err
    assert "inodes" in ended.out + ended.err
    small_disk(20_000, inodes=100)
    run_finished(export, ids, SCENARIO)
    assert_exact(export, ids, SCENARIO)


@pytest.mark.promise(
    "The disk is full when IDs are looked up",
    "the run waits as for any full disk, then continues; exact",
)
def test_a_look_up_on_a_full_disk_can_be_repeated(tmp_path, small_disk):
    ids = [str(uuid.UUID(int=number)) for number in range(1, 2_001)]
    entries = entries_of(ids)
    block = [*entries, *entries[:50]]
    for place in (tmp_path, small_disk(20_000)):
        run_finished(place / "export", ids, Scenario(missing=1), batch=500)
    with opened(tmp_path / "export") as store:
        wanted = store.admit(block)
    assert wanted.settled == {Verdict.NOT_FOUND: 2_000}
    with opened(tmp_path / "disk" / "export") as store:
        used = shutil.disk_usage(tmp_path / "disk").used >> 10
        for more_kib in (0, 4, 12, 28, 48):
            small_disk(used + more_kib)
            with pytest.raises(DiskFullError, match=r"look up IDs.*(full|unable).*free up"):
                store.admit(block)
        small_disk(20_000)
        assert store.admit(block) == wanted
        assert store.admit(entries).duplicates == len(entries)
    with opened(tmp_path / "disk" / "export") as store:
        small_disk(shutil.disk_usage(tmp_path / "disk").used >> 10)
        with pytest.raises(DiskFullError):
            store.admit(block)
    assert not (tmp_path / "disk" / "export" / ".seen").exists()


@pytest.mark.promise(
    "The disk fills up in the middle of a part, or of the ledger",
    "the whole batch is truncated, and committed when there is space",
)
def test_wherever_a_disk_fills_up_the_same_commit_can_be_repeated(ids, small_disk):
    disk = small_disk(100)
    met = set()
    for size_kib in range(140, 400, 13):
        small_disk(size_kib)
        with opened(disk / "export", part_bytes=40_000) as store:
            plainly = store.commit

            def patiently(outcomes, plainly=plainly):
                while True:
                    try:
                        return plainly(outcomes)
                    except DiskFullError as error:
                        met.add(type(error.__cause__))
                        small_disk(20_000)

            store.commit = patiently
            commit(store, ids, SCENARIO, batch=4)
        run_finished(disk / "export", ids, SCENARIO)
        assert_exact(disk / "export", ids, SCENARIO)
        shutil.rmtree(disk / "export")
    assert met == {OSError, DatabaseError}


@pytest.mark.promise(
    "The disk is full when a part is to be sealed because of its age",
    "the run waits as for any full disk; then the part is sealed, and the manifest lists it",
)
def test_sealing_an_old_part_on_a_full_disk_can_be_repeated(ids, small_disk):
    disk, met = small_disk(2_000), set()
    for free_kib in range(0, 40, 4):
        with opened(disk / "export", part_every_s=1e-9) as store:
            commit(store, ids, SCENARIO)
            room = os.statvfs(disk)
            filling = bytes(room.f_bfree * room.f_bsize - (free_kib << 10))
            (disk / "filling").write_bytes(filling)
            for _ in range(2):
                try:
                    store.seal_old()
                except DiskFullError as error:
                    met.add(type(error.__cause__))
            (disk / "filling").unlink()
            store.seal_old()
            manifest = json.loads((disk / "export" / "manifest.json").read_text())
            files = {part["file"] for part in manifest["parts"]}
            assert files == {"records-000001.jsonl", "failures-000001.jsonl"}
            store.end_run("finished", REPORT)
        assert_exact(disk / "export", ids, SCENARIO)
        shutil.rmtree(disk / "export")
    assert met == {OSError, DatabaseError}


@pytest.mark.promise(
    "The disk is full in the middle of the n-th write, for each n",
    "the run stops without a torn line, and the next run ends exact",
)
def test_a_disk_that_is_full_at_any_write_leaves_no_torn_line(small, tmp_path):
    ids = small(12, SCENARIO)
    writes = [
        at for at, name in enumerate(steps_of_a_run(tmp_path / "whole", ids)) if name == "pwritev"
    ]
    assert len(writes) > 3
    for at in writes:
        directory = tmp_path / f"full-at-{at}"
        with pytest.raises(CommitError, match=f"{directory}.*No space left.*free up space"):
            run_batches(directory, ids, Steps(at, "full"))
        assert size_of_parts(directory) == committed_size_of_parts(directory)
        finish(directory, ids)


@pytest.mark.promise(
    "The disk is full when a part gets its final name, or when that is synced",
    "the run stops and the next one ends exact; rows of an ID stay in parts of one number",
)
@pytest.mark.parametrize("call", ["rename", "fsync", "fdatasync"])
@pytest.mark.parametrize("compression", [Compression.NONE, Compression.GZIP])
@pytest.mark.parametrize("number", [1, 2, 3, 5, 6, 8])
def test_sealing_is_not_repeated_after_a_full_disk_at_the_rename_or_its_sync(
    small, tmp_path, monkeypatch, call, compression, number
):
    ids = small(24, SCENARIO)
    how = {"shape": Shape.TABLES, "part_bytes": 300, "compression": compression}
    with opened(tmp_path, **how) as store, monkeypatch.context() as patch:
        full_at(patch, call, number)
        outcomes = outcomes_of(entries_of(ids), SCENARIO, Shape.TABLES)
        with pytest.raises(CommitError):  # noqa: PT012 - whichever of them meets it
            for start in range(0, len(ids), 3):
                patiently(store, outcomes[start : start + 3])
            store.end_run("finished", {})
    run_finished(tmp_path, ids, SCENARIO, **how)
    numbers = {
        name: {path.name.split("-")[1] for path in tmp_path.glob(f"{name}-*")}
        for name in ("interactions", "scores", "segments")
    }
    assert numbers["interactions"] == numbers["scores"] == numbers["segments"]
    assert verify_export(tmp_path).exit_code == 0


def full_at(patch, name, number):
    """Let the `number`-th system call of that name, and no other, find the disk full."""
    plainly, calls = getattr(os, name), []

    def call(*arguments, **named):
        calls.append(name)
        if len(calls) == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return plainly(*arguments, **named)

    patch.setattr(os, name, call)


def patiently(store, outcomes):
    """Commit as a run does: repeat the commit if the disk was full."""
    try:
        store.commit(outcomes)
    except DiskFullError:
        store.commit(outcomes)


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), Shortage.BYTES),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Shortage.QUOTA),
        (OSError(errno.EIO, "Input/output error"), None),
        (OSError(errno.EROFS, "Read-only file system"), None),
    ],
)
def test_shortages_are_distinguished_from_other_failures(error, what, tmp_path):
    assert failure_of(error, tmp_path).shortage is what


def test_a_database_that_can_not_be_opened_on_a_disk_with_inodes_is_no_shortage(tmp_path):
    error = sqlite3.OperationalError("unable to open database file")
    assert database_error(error, tmp_path).failure.shortage is None
