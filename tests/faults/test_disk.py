"""A disk that fails or fills up stops the run with a clear word, and costs no record."""

import ctypes
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
from support.running import end_input, ended, running, wait_for_line
from support.small_disk import system
from support.store import REPORT, commit, entries_of, opened, outcomes_of, run_finished
from support.waiting import wait_until_blocking

from cxai.errors import CommitError, DiskFullError, IntegrityError
from cxai.inspect.verify import verify_export
from cxai.ledger.sqlite import SqliteDatabase
from cxai.ledger.sqlite_connection import database_error
from cxai.ledger.trouble import DatabaseError, DiskTrouble, Lack, trouble_of
from cxai.output.compression import Compression
from cxai.policy.verdict import Verdict
from cxai.resources.options import Shape
from cxai.simulator import Scenario


@pytest.mark.promise(
    "The disk stays full",
    "the run stops with code 4 and says so; with more room the same command ends exact",
)
@pytest.mark.parametrize("size_kib", [8, 32, 250])
def test_a_full_disk_stops_the_run_and_with_more_room_it_goes_on(api, ids, small_disk, size_kib):
    export = small_disk(size_kib) / "export"
    ended = go_on(api, export, ids, "--in-flight", "2", env=environment(CXAI_DISK_PATIENCE_S="0"))
    assert ended.code == 4
    assert "Traceback" not in ended.err
    assert "full" in ended.out + ended.err or "No space left" in ended.out + ended.err
    assert "free up space, and run the same command again" in ended.out + ended.err
    small_disk(20_000)
    assert go_on(api, export, ids).code == 0
    assert_exact(export, ids, SCENARIO)


# A disk that has no room for a batch from the third on, but for less.
NO_ROOM_FOR_BATCHES = """
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
    "The disk stays full, but takes the few bytes of an orderly end",
    "the parts are sealed, and manifest, status and verify tell of a run that was stopped",
)
def test_a_run_that_a_full_disk_stops_ends_in_good_order(api, export, ids):
    env = environment(CXAI_DISK_PATIENCE_S="0", CXAI_BATCH="5")
    done = go_on(api, export, ids, "--json", env=env, first=NO_ROOM_FOR_BATCHES)
    assert done.code == 4, done.err
    told = done.json
    assert "No space left" in told["stopped_by"]
    settled = told["verdicts"]["ok"]
    assert 0 < settled < len(ids)
    assert [run["ended"] for run in cxai("status", export, "--json").json["runs"]] == ["stopped"]
    assert len(rows(export)) == settled  # sealed
    assert not any(part.stat().st_size for part in export.glob("*.open"))
    assert json.loads((export / "manifest.json").read_text())["last_run"]["ended"] == "stopped"
    assert cxai("verify", export).code == 4  # intact, but not complete
    assert go_on(api, export, ids).code == 0
    assert_exact(export, ids, SCENARIO)


def test_a_batch_that_was_cut_off_is_off_for_good_before_its_part_is_sealed(ids, tmp_path):
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
    "The disk is full for a while", "the run waits, says so, and goes on by itself; exact"
)
def test_a_full_disk_is_waited_for_and_with_more_room_the_run_goes_on_by_itself(
    api, ids, small_disk
):
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
    "named as such, not as a full disk; waited for like one, and the run goes on by itself; exact",
)
def test_a_disk_without_inodes_is_waited_for_and_named(api, ids, small_disk):
    export = small_disk(20_000, inodes=7) / "export"
    # The root, the export, .lock, the ledger, its log, one part: no room for the other one.
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
    "waited for like any other full disk, then the run goes on by itself; exact",
)
def test_a_disk_that_is_full_under_a_look_up_is_waited_for(tmp_path, small_disk):
    ids = [str(uuid.UUID(int=number)) for number in range(1, 2_001)]
    entries = entries_of(ids)
    block = [*entries, *entries[:50]]
    for place in (tmp_path, small_disk(20_000)):  # what is settled is what is written down
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
    "the batch is cut off whole and committed when there is room",
)
def test_wherever_a_disk_fills_up_the_same_commit_may_be_tried_again(ids, small_disk):
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
    "The disk is full when a part is to be finished because of its age",
    "waited for like any other full disk; then the part is finished, and the manifest lists it",
)
def test_an_old_part_that_finds_the_disk_full_is_finished_once_there_is_room(ids, small_disk):
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
    "the run stops, nothing torn is left, and the next run ends exact",
)
def test_a_disk_that_is_full_at_any_write_leaves_nothing_torn(small, tmp_path):
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


# A disk whose syncs fail from the second commit on; it lists them all.
FAILING_SYNC = """
import errno, os
from pathlib import Path

log = Path(os.environ["SYNCS"])
def watched(name, sync):
    def step(fd):
        with log.open("a") as told:
            print(name, file=told)
        if log.read_text().count("fdatasync") >= 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(fd)
    return step
os.fdatasync = watched("fdatasync", os.fdatasync)
os.fsync = watched("fsync", os.fsync)
"""


@pytest.mark.promise(
    "The disk is full when a part gets its final name, or when that is synced",
    "the run stops and the next one ends exact; rows of an ID stay in parts of one number",
)
@pytest.mark.parametrize("call", ["rename", "fsync", "fdatasync"])
@pytest.mark.parametrize("compression", [Compression.NONE, Compression.GZIP])
@pytest.mark.parametrize("number", [1, 2, 3, 5, 6, 8])
def test_a_full_disk_while_parts_are_sealed_is_not_tried_again(
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
    """Let the `number`-th system call of that name, and no other, find no room."""
    plainly, calls = getattr(os, name), []

    def call(*arguments, **named):
        calls.append(name)
        if len(calls) == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return plainly(*arguments, **named)

    patch.setattr(os, name, call)


def patiently(store, outcomes):
    """Commit as a run does: what finds no room may be tried again if the store says so."""
    try:
        store.commit(outcomes)
    except DiskFullError:
        store.commit(outcomes)


@pytest.mark.parametrize("is_durable", [True, False])
@pytest.mark.parametrize("compression", [Compression.NONE, Compression.GZIP])
def test_a_batch_of_which_it_is_not_known_whether_it_is_durable_is_not_touched(
    small, tmp_path, monkeypatch, is_durable, compression
):
    ids = small(12, SCENARIO)
    how = {"shape": Shape.TABLES, "compression": compression}
    plainly = SqliteDatabase.commit

    def commit_on_a_failing_disk(*arguments, **named):
        if is_durable:
            plainly(*arguments, **named)
        raise DatabaseError(DiskTrouble("disk I/O error", "fix the disk"))

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


@pytest.mark.promise("EIO from fsync", "the run exits with code 4; no second sync is tried")
def test_a_failed_sync_ends_the_run_and_is_not_tried_again(api, export, ids, tmp_path):
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
    "the run stops, syncs nothing again, and the next one ends exact",
)
def test_a_disk_that_fails_at_any_system_call_stops_the_run_and_costs_nothing(small, tmp_path):
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
    "The output directory is on a read-only disk", "code 2 and the reason, before any request"
)
def test_a_read_only_disk_is_told(api, ids, small_disk):
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
    "The disk turns read-only, or fails for good, under a run",
    "code 4 with the disk's reason, whatever fails on the way out; then the same command goes on",
)
@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("EROFS", "Read-only file system. Nothing is lost: make the file system writable again"),
        ("EACCES", "Permission denied. Nothing is lost: restore the permission to write there"),
        ("EIO", "Input/output error. Nothing is lost: fix the disk"),
        ("ESTALE", "Stale file handle. Nothing is lost: mount the file system again"),
    ],
)
def test_a_disk_that_turns_read_only_under_a_run_stops_it(api, export, ids, code, told):
    env = environment(CXAI_BATCH="5", ERROR=code)
    done = go_on(api, export, ids, env=env, first=READ_ONLY)
    assert done.code == 4, done.err
    assert f"Can't write to {export}: {told}" in done.out + done.err
    (export / "progress.json").unlink(missing_ok=True)  # a run would replace it
    run_finished(export, ids, SCENARIO)
    assert_exact(export, ids, SCENARIO)


def as_any_user():
    """Let this process obey the modes of files, although it may be root."""
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability)  # PR_CAPBSET_DROP


def test_a_directory_that_turns_read_only_under_a_run_stops_it(api, export, ids):
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


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), Lack.BYTES),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Lack.QUOTA),
        (OSError(errno.EIO, "Input/output error"), None),
        (OSError(errno.EROFS, "Read-only file system"), None),
    ],
)
def test_what_the_disk_lacks_is_told_from_other_trouble(error, what, tmp_path):
    assert trouble_of(error, tmp_path).lack is what


def test_a_database_that_can_not_be_opened_on_a_disk_with_inodes_lacks_no_room(tmp_path):
    error = sqlite3.OperationalError("unable to open database file")
    assert database_error(error, tmp_path).trouble.lack is None


def test_an_output_path_that_is_a_file_is_told(api, export, ids):
    export.write_text("not a directory")
    ended = go_on(api, export, ids)
    assert ended.code == 2
    assert f"Can't use {export} as the output directory: " in ended.err


@pytest.mark.promise(
    "The output directory is moved away under a run",
    "the run stops with code 5 and says where it is; put back, the same command goes on exactly",
)
@pytest.mark.parametrize("how", ["moved", "moved up", "replaced"])
def test_a_directory_that_is_moved_under_a_run_is_to_be_put_back(api, tmp_path, ids, how):
    export = tmp_path / "deep" / "export"
    aside = tmp_path / "aside"
    with running(api, export, ids[:30], input_ends=False, env=environment(CXAI_BATCH="1")) as run:
        wait_until_blocking(lambda: list(export.glob("records-*.open")), "the first part")
        if how == "moved up":
            export.parent.rename(aside)
        else:
            export.rename(aside)
        if how == "replaced":
            export.mkdir()
        run.stdin.write("".join(f"{one}\n" for one in ids[30:]).encode())
        end_input(run)
        code, out, err = ended(run)
    assert code == 5, err
    place = aside / "export" if how == "moved up" else aside
    assert f"{export} was moved to {place} while the run wrote to it. Nothing is lost: put it" in (
        out + err
    )
    assert "no place" not in out + err
    if how == "replaced":
        export.rmdir()
    aside.rename(export.parent if how == "moved up" else export)
    assert go_on(api, export, ids).code == 0
    assert_exact(export, ids, SCENARIO)


def test_a_run_does_not_end_well_in_a_directory_that_was_moved(tmp_path, ids):
    run_finished(tmp_path / "export", ids, SCENARIO)
    with opened(tmp_path / "export") as store:  # it has nothing to do
        (tmp_path / "export").rename(tmp_path / "elsewhere")
        with pytest.raises(IntegrityError, match=f"was moved to {tmp_path / 'elsewhere'} while"):
            store.end_run("finished", {})


@pytest.mark.promise(
    "The output directory vanishes under a run",
    "the run stops with code 4 or 5 and names the directory",
)
def test_a_directory_that_vanishes_under_a_run_ends_it_with_a_clear_word(api, export, ids):
    each = environment(CXAI_BATCH="1")
    with running(api, export, ids, input_ends=False, env=each) as run:
        wait_until_blocking(lambda: list(export.glob("records-*.open")), "the first part")
        while export.exists():  # the run goes on meanwhile
            shutil.rmtree(export, ignore_errors=True)
        end_input(run)
        code, out, errors = ended(run)
    assert code in {4, 5}, errors  # a failed commit, or a part that is no longer there
    assert "Traceback" not in errors
    assert str(export) in out
