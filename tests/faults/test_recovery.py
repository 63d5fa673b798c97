"""What a start finds on disk: finished, cut, refused by name or set aside, but never guessed."""

import gzip
import os
import shutil
import sqlite3
import stat
import subprocess
from contextlib import suppress

import pytest
from support.checker import Ledger, assert_exact
from support.command import cxai, environment
from support.running import end_input, ended, running, wait_for_line
from support.store import commit, opened, run_finished, run_killed
from support.waiting import wait_until_blocking

from worker.errors import DiskFullError
from worker.output.compression import Compression
from worker.simulator import Scenario

SCENARIO = Scenario(missing=0.2)


@pytest.fixture
def ids(guids):
    """Return 40 IDs. What a killed run has left behind, it has of the first 30."""
    return guids(40)


@pytest.fixture
def export(tmp_path):
    return tmp_path / "export"


@pytest.fixture
def api(simulated):
    with simulated(missing=SCENARIO.missing) as api:
        yield api


def go_on(api, export, ids, *arguments, env=None):
    """Run the command that goes on with an export."""
    command = ["run", "-o", export, "--base-url", api.base_url, "--rate", "100000", *arguments]
    return cxai(*command, stdin="\n".join(ids).encode(), env=env)


def content_of(export):
    """Return every part with its content, wherever it lies."""
    return {
        path.relative_to(export): path.read_bytes()
        for path in export.rglob("*.jsonl*")
        if path.is_file()
    }


def refused(api, export, ids, *words):
    """Assert that a start is refused for lack of integrity in these words, and changes nothing."""
    parts, outcomes = content_of(export), Ledger(export).outcomes
    asked = api.stats.requests
    ended = go_on(api, export, ids)
    assert ended.code == 5, ended.err
    for word in words:
        assert word in ended.err
    assert content_of(export) == parts
    assert Ledger(export).outcomes == outcomes
    assert api.stats.requests == asked
    return ended


# --- the open part ---


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


def test_a_part_that_is_shorter_than_its_ledger_says_is_refused(api, export, ids):
    run_killed(export, ids[:30], SCENARIO)
    part = export / "records-000001.jsonl.open"
    committed = part.stat().st_size
    os.truncate(part, committed - 1)
    refused(
        api, export, ids,
        f"{part} has {committed - 1} bytes, but the ledger has {committed}",
        "Bring the file back",
    )  # fmt: skip


def test_a_part_that_is_missing_is_refused(api, export, ids):
    run_killed(export, ids[:30], SCENARIO)
    part = export / "records-000001.jsonl.open"
    part.unlink()
    refused(api, export, ids, f"{part} can't be opened (No such file or directory)")


def test_a_committed_byte_that_flipped_in_the_open_part_is_refused(api, export, ids):
    run_killed(export, ids[:30], SCENARIO)
    part = export / "records-000001.jsonl.open"
    flip(part, 12_345)
    refused(api, export, ids, f"{part} is not what was written", "`cxai verify` tells where")
    assert_damage_is_told(export, part, 12_345)


# --- sealed parts ---


def test_a_committed_byte_that_flipped_in_a_sealed_part_is_found_by_verify(export, ids):
    run_finished(export, ids, SCENARIO)
    assert cxai("verify", export).code == 0
    part = export / "records-000001.jsonl"
    flip(part, 54_321)
    assert_damage_is_told(export, part, 54_321)


def test_a_flipped_byte_in_a_compressed_part_is_found_by_verify(export, ids):
    run_finished(export, ids, SCENARIO, compression=Compression.GZIP)
    part = export / "records-000001.jsonl.gz"
    flip(part, 5_432)
    assert_damage_is_told(export, part, 5_432)


@pytest.mark.parametrize("by", [-1, 1])
def test_a_sealed_part_of_another_length_is_refused(api, export, ids, by):
    run_finished(export, ids[:30], SCENARIO)
    part = export / "records-000001.jsonl"
    committed = part.stat().st_size
    os.truncate(part, committed + by)
    refused(api, export, ids, f"{part} has {committed + by} bytes, but the ledger has {committed}")


def test_a_sealed_part_that_is_missing_is_refused_by_its_name(api, export, ids):
    run_finished(export, ids[:30], SCENARIO)
    part = export / "records-000001.jsonl"
    part.unlink()
    ended = refused(api, export, ids, f"{part} is not there", "Bring the file back")
    assert ".open" not in ended.err


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


def test_a_sealed_part_that_was_not_yet_renamed_is_still_held_to_what_was_written(api, export, ids):
    run_finished(export, ids[:30], SCENARIO)
    part = (export / "records-000001.jsonl").rename(export / "records-000001.jsonl.open")
    flip(part, 12_345)
    refused(api, export, ids, f"{part} is not what was written")


def flip(part, offset):
    content = bytearray(part.read_bytes())
    content[offset] ^= 1
    part.write_bytes(content)


def assert_damage_is_told(export, part, offset):
    ended = cxai("verify", export, "--json")
    assert ended.code == 5
    assert ended.json["intact"] is False
    (told,) = [one for one in ended.json["problems"] if "are not what was written" in one]
    name, first, last = told.replace(",", "").replace(": bytes", "").replace("to ", "").split()[:3]
    assert name == part.name
    assert int(first) <= offset < int(last)
    assert int(last) - int(first) < part.stat().st_size  # a commit's, not all of the part
    is_now = part.read_bytes()[offset]
    assert f"byte {offset} differs: it is 0x{is_now:02x} and was 0x{is_now ^ 1:02x}." in (
        told.replace(",", "")
    )
    assert f"{part.name}: its SHA-256 is not the ledger's." in ended.json["problems"]


# --- the ledger ---


def test_parts_without_a_ledger_are_refused(api, export, ids):
    run_finished(export, ids[:30], SCENARIO)
    (export / "ledger.sqlite").unlink()
    parts = content_of(export)
    for _ in range(2):  # the refusal leaves nothing behind that the next start could trust
        ended = go_on(api, export, ids)
        assert ended.code == 5
        assert "has parts (failures-000001.jsonl, …) but no ledger that knows them" in ended.err
        assert content_of(export) == parts


def test_a_ledger_that_is_none_is_refused(api, export, ids):
    run_finished(export, ids[:30], SCENARIO)
    content = b"not a database" * 1_000
    (export / "ledger.sqlite").write_bytes(content)
    for command in (["status", export], ["verify", export]):
        assert cxai(*command).code == 5
    ended = go_on(api, export, ids)
    assert ended.code == 5
    assert "ledger.sqlite can't be read as a ledger" in ended.err
    assert (export / "ledger.sqlite").read_bytes() == content


def test_a_ledger_that_is_damaged_inside_is_refused(api, export, ids):
    run_finished(export, ids[:30], SCENARIO)
    ledger = export / "ledger.sqlite"
    content = ledger.read_bytes()
    ledger.write_bytes(content[:4096] + os.urandom(len(content) - 4096))
    for command in (["status", export], ["verify", export]):
        assert cxai(*command).code == 5
    ended = go_on(api, export, ids)
    assert ended.code == 5, ended.err
    assert "the ledger is damaged" in ended.err


def test_an_older_copy_of_the_ledger_is_refused_before_anything_is_moved(api, export, ids):
    run_finished(export, ids[:10], SCENARIO)
    older = (export / "ledger.sqlite").read_bytes()
    run_finished(export, ids[:30], SCENARIO)
    (export / "records-000001.jsonl").unlink()
    (export / "ledger.sqlite").write_bytes(older)
    refused(api, export, ids, "records-000001.jsonl is not there")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--shape", "tables"], "shape nested, not tables"),
        (["--compression", "zstd"], "compression none, not zstd"),
    ],
)
def test_an_export_of_another_form_is_refused(api, export, ids, arguments, what):
    run_killed(export, ids[:30], SCENARIO)
    parts = content_of(export)
    ended = go_on(api, export, ids, *arguments)
    assert ended.code == 2
    assert f"holds an export with {what}. Ask for" in ended.err
    assert content_of(export) == parts


# --- files of others ---


def test_part_files_that_the_ledger_does_not_know_are_set_aside_and_never_deleted(api, export, ids):
    run_killed(export, ids[:10], SCENARIO)
    strangers = ("records-000099.jsonl", "records-000007.jsonl.open", "scores-000001.jsonl.gz")
    for content in (b"first", b"second"):
        for name in strangers:
            (export / name).write_bytes(content)
        assert go_on(api, export, ids).code == 0
    aside = export / "set-aside"
    assert {path.name: path.read_bytes() for path in aside.iterdir()} == {
        name + suffix: content
        for name in strangers
        for suffix, content in (("", b"first"), (".2", b"second"))
    }
    assert stat.S_IMODE(aside.stat().st_mode) == 0o700
    assert_exact(export, ids, SCENARIO, beside={"set-aside"})


def test_files_of_others_are_left_alone(api, export, ids):
    run_killed(export, ids[:10], SCENARIO)
    others = {"notes.txt", "records.jsonl", "records-1.jsonl", "records-000001.jsonl.bak"}
    for name in others:
        (export / name).write_text(name)
    (export / "folder").mkdir()
    assert go_on(api, export, ids).code == 0
    assert {name: (export / name).read_text() for name in others} == {name: name for name in others}
    assert_exact(export, ids, SCENARIO, beside=others | {"folder"})


@pytest.mark.parametrize("sealed", [False, True])
def test_a_part_that_became_a_symbolic_link_is_refused(api, export, ids, sealed, tmp_path):
    (run_finished if sealed else run_killed)(export, ids[:30], SCENARIO)
    name = "records-000001.jsonl" if sealed else "records-000001.jsonl.open"
    elsewhere = tmp_path / "elsewhere"
    (export / name).rename(elsewhere)
    (export / name).symlink_to(elsewhere)
    content = elsewhere.read_bytes()
    refused(api, export, ids, f"{export / name} ")
    assert elsewhere.read_bytes() == content


def test_a_part_is_not_written_through_a_symbolic_link(api, export, ids, tmp_path):
    run_killed(export, [], SCENARIO)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    (export / "records-000001.jsonl.open").symlink_to(elsewhere)
    refused(api, export, ids, "records-000001.jsonl.open can't be opened")
    assert elsewhere.read_bytes() == b"precious"


# --- one owner ---


def test_a_second_run_in_a_directory_is_refused_at_once_and_does_not_disturb_the_first(
    api, export, ids
):
    with running(api, export, ids, input_ends=False) as first:
        wait_until_blocking(lambda: api.stats.requests > 0, "the first run's requests")
        for second in (go_on(api, export, ids), cxai("verify", export)):
            assert second.code == 2
            assert f"{export} is in use by cxai run, process {first.pid}." in second.err
        assert "a run is under way" in cxai("status", export).out
        end_input(first)
        code, _, errors = ended(first)
    assert code == 0, errors
    assert_exact(export, ids, SCENARIO)


def test_what_a_run_writes_is_its_owners_alone_whatever_the_umask(api, export, ids):
    each = environment(CXAI_BATCH="1")
    with running(api, export, ids, input_ends=False, env=each, umask=0) as run:
        wait_until_blocking(lambda: list(export.glob("records-*.open")), "the first part")
        modes = modes_in(export)
        assert {".lock", ".seen", "ledger.sqlite", "records-000001.jsonl.open"} <= set(modes)
        end_input(run)
        ended(run)
        modes |= modes_in(export)
    assert {"manifest.json", "records-000001.jsonl"} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(export.stat().st_mode) == 0o700


def modes_in(directory):
    found = {}
    for path in directory.iterdir():
        with suppress(FileNotFoundError):  # the run goes on meanwhile
            found[path.name] = stat.S_IMODE(path.stat().st_mode)
    return found


# --- the disk ---


@pytest.fixture
def small_disk(tmp_path):
    """Return a maker of a mounted file system of so many KiB; calling it again resizes it."""
    disk = tmp_path / "disk"

    def mount(size_kib):
        options = f"size={size_kib}k"
        if disk.exists():
            options += ",remount"
        disk.mkdir(exist_ok=True)
        mounted = system("mount", "-t", "tmpfs", "-o", options, "tmpfs", disk)
        if mounted.returncode:
            pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode()}")
        return disk

    yield mount
    system("umount", disk)


def system(command, *arguments):
    return subprocess.run([shutil.which(command), *arguments], capture_output=True, check=False)


@pytest.mark.parametrize("size_kib", [8, 32, 250])
def test_a_full_disk_stops_the_run_and_with_more_room_it_goes_on(api, ids, small_disk, size_kib):
    export = small_disk(size_kib) / "export"
    ended = go_on(api, export, ids, "--in-flight", "2", env=environment(CXAI_DISK_PATIENCE_S="0"))
    assert ended.code == 4
    assert "Traceback" not in ended.err
    assert "full" in ended.out + ended.err or "No space left" in ended.out + ended.err
    assert "ake room or mend the disk" in ended.out + ended.err
    small_disk(20_000)
    assert go_on(api, export, ids).code == 0
    assert_exact(export, ids, SCENARIO)


def test_a_full_disk_is_waited_for_and_with_more_room_the_run_goes_on_by_itself(
    api, ids, small_disk
):
    export = small_disk(400) / "export"
    env = environment(CXAI_BATCH="5", CXAI_PROGRESS_S="0.1")
    with running(api, export, ids, env=env) as run:
        wait_for_line(run, "waiting for room: the disk is full")
        small_disk(20_000)
        assert ended(run)[0] == 0
    assert_exact(export, ids, SCENARIO)


def test_wherever_a_disk_fills_up_the_same_commit_may_be_tried_again(ids, small_disk):
    disk = small_disk(100)
    met = set()
    for size_kib in range(140, 400, 13):  # in the middle of a part, or of the ledger
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
    assert met == {OSError, sqlite3.OperationalError}


def test_a_read_only_disk_is_told(api, ids, small_disk):
    disk = small_disk(1_000)
    system("mount", "-o", "remount,ro", disk)
    ended = go_on(api, disk / "export", ids)
    assert ended.code == 2
    assert "Read-only file system" in ended.err


def test_an_output_path_that_is_a_file_is_told(api, export, ids):
    export.write_text("not a directory")
    ended = go_on(api, export, ids)
    assert ended.code == 2
    assert f"Can't use {export} as the output directory: " in ended.err


def test_a_directory_that_vanishes_under_a_run_ends_it_with_a_clear_word(api, export, ids):
    each = environment(CXAI_BATCH="1")
    with running(api, export, ids, input_ends=False, env=each) as run:
        wait_until_blocking(lambda: list(export.glob("records-*.open")), "the first part")
        while export.exists():  # the run goes on meanwhile
            shutil.rmtree(export, ignore_errors=True)
        end_input(run)
        code, out, errors = ended(run)
    assert code == 4, errors
    assert "Traceback" not in errors
    assert str(export) in out
