"""An output directory that contradicts its ledger is refused with the name of the file."""

import os
import stat

import pytest
from support.checker import assert_exact
from support.command import cxai
from support.leftovers import (
    SCENARIO,
    assert_damage_is_located,
    assert_refused,
    content_of,
    flip,
    go_on,
)
from support.running import end_input, ended, running
from support.store import run_finished, run_killed
from support.waiting import wait_until_blocking

from cxai.output.compression import Compression

# --- the open part ---


@pytest.mark.promise(
    "A part is shorter than in the ledger",
    "the start is refused with the name of the part; nothing is changed",
)
def test_a_part_that_is_shorter_than_in_the_ledger_is_refused(api, export, ids):
    run_killed(export, ids[:30], SCENARIO)
    part = export / "records-000001.jsonl.open"
    committed = part.stat().st_size
    os.truncate(part, committed - 1)
    assert_refused(
        api, export, ids,
        f"{part} has {committed - 1:,} bytes, but the ledger has {committed:,}",
        "Put the original back; if it is lost, delete the file and run the same command",
    )  # fmt: skip


def test_a_part_that_is_missing_is_refused(api, export, ids):
    run_killed(export, ids[:30], SCENARIO)
    part = export / "records-000001.jsonl.open"
    part.unlink()
    assert_refused(api, export, ids, f"{part} is missing; the ledger has")


@pytest.mark.promise(
    "A committed byte of the open part has flipped",
    "the start is refused before anything is appended",
)
def test_a_committed_byte_that_flipped_in_the_open_part_is_refused(api, export, ids):
    run_killed(export, ids[:30], SCENARIO)
    part = export / "records-000001.jsonl.open"
    flip(part, 12_345)
    assert_refused(api, export, ids, f"{part} was changed", f"`cxai verify {export}` shows where")
    assert_damage_is_located(export, part, 12_345)


# --- sealed parts ---


@pytest.mark.promise("A committed byte has flipped", "`cxai verify` names the part and the place")
def test_a_committed_byte_that_flipped_in_a_sealed_part_is_found_by_verify(export, ids):
    run_finished(export, ids, SCENARIO)
    assert cxai("verify", export).code == 0
    part = export / "records-000001.jsonl"
    flip(part, 54_321)
    assert_damage_is_located(export, part, 54_321)


def test_a_flipped_byte_in_a_compressed_part_is_found_by_verify(export, ids):
    run_finished(export, ids, SCENARIO, compression=Compression.GZIP)
    part = export / "records-000001.jsonl.gz"
    flip(part, 5_432)
    assert_damage_is_located(export, part, 5_432)


@pytest.mark.parametrize("by", [-1, 1])
def test_a_sealed_part_of_another_length_is_refused(api, export, ids, by):
    run_finished(export, ids[:30], SCENARIO)
    part = export / "records-000001.jsonl"
    committed = part.stat().st_size
    os.truncate(part, committed + by)
    assert_refused(
        api, export, ids, f"{part} has {committed + by:,} bytes, but the ledger has {committed:,}"
    )


def test_a_sealed_part_that_is_missing_is_refused_with_its_final_name(api, export, ids):
    run_finished(export, ids[:30], SCENARIO)
    part = export / "records-000001.jsonl"
    part.unlink()
    ended = assert_refused(api, export, ids, f"{part} is missing", "Put the file back")
    assert ".open" not in ended.err


def test_a_sealed_part_that_was_not_yet_renamed_is_checked_too(api, export, ids):
    run_finished(export, ids[:30], SCENARIO)
    part = (export / "records-000001.jsonl").rename(export / "records-000001.jsonl.open")
    flip(part, 12_345)
    assert_refused(api, export, ids, f"{part} was changed")


# --- the ledger ---


@pytest.mark.promise(
    "The ledger is deleted, but not its parts",
    "every start is refused; the parts stay as they are",
)
def test_parts_without_a_ledger_are_refused(api, export, ids):
    run_finished(export, ids[:30], SCENARIO)
    (export / "ledger.sqlite").unlink()
    parts = content_of(export)
    for _ in range(2):  # the first refusal leaves nothing that the next start could trust
        ended = go_on(api, export, ids)
        assert ended.code == 5
        assert "has parts (failures-000001.jsonl, …), but no ledger that lists them" in ended.err
        assert content_of(export) == parts


def test_a_file_that_is_not_a_ledger_is_refused(api, export, ids):
    run_finished(export, ids[:30], SCENARIO)
    content = b"not a database" * 1_000
    (export / "ledger.sqlite").write_bytes(content)
    for command in (["status", export], ["verify", export]):
        assert cxai(*command).code == 5
    ended = go_on(api, export, ids)
    assert ended.code == 5
    assert "ledger.sqlite can't be read as a ledger" in ended.err
    assert (export / "ledger.sqlite").read_bytes() == content


@pytest.mark.promise("The ledger is damaged", "refused by run, status and verify")
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


@pytest.mark.promise(
    "An older copy of the ledger is put back",
    "refused where it contradicts the parts; nothing is moved",
)
@pytest.mark.parametrize("part_is_missing", [False, True])
def test_an_older_copy_of_the_ledger_is_refused_before_anything_is_moved(
    api, export, ids, part_is_missing
):
    run_finished(export, ids[:10], SCENARIO)
    older = (export / "ledger.sqlite").read_bytes()
    run_finished(export, ids[:30], SCENARIO)
    if part_is_missing:
        (export / "records-000001.jsonl").unlink()
    (export / "ledger.sqlite").write_bytes(older)
    assert_refused(
        api, export, ids, "is finished, but not according to the ledger", "an older copy"
    )


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
    assert f"has an export with {what}. Use --" in ended.err
    assert content_of(export) == parts


# --- other files ---


@pytest.mark.promise(
    "Part files that the ledger does not list", "moved to `quarantine/`, never deleted"
)
def test_part_files_that_the_ledger_does_not_list_go_to_quarantine(api, export, ids):
    run_killed(export, ids[:10], SCENARIO)
    strangers = ("records-000099.jsonl", "records-000007.jsonl.open", "scores-000001.jsonl.gz")
    for content in (b"first", b"second"):
        for name in strangers:
            (export / name).write_bytes(content)
        done = go_on(api, export, ids)
        assert done.code == 0
        assert done.err.count("event=file_quarantined") == len(strangers)
    quarantine = export / "quarantine"
    assert {path.name: path.read_bytes() for path in quarantine.iterdir()} == {
        name + suffix: content
        for name in strangers
        for suffix, content in (("", b"first"), (".2", b"second"))
    }
    assert stat.S_IMODE(quarantine.stat().st_mode) == 0o700
    assert_exact(export, ids, SCENARIO, beside={"quarantine"})


@pytest.mark.promise(
    "Files of others in an export, such as `ids-20261127.jsonl`", "left alone, and never moved"
)
def test_files_of_others_are_left_alone(api, export, ids):
    run_killed(export, ids[:10], SCENARIO)
    others = {
        "notes.txt", "records.jsonl", "records-1.jsonl", "records-000001.jsonl.bak",
        "ids-20261127.jsonl", "ids-000001.jsonl", "records-20261127.jsonl.gz",
    }  # fmt: skip
    for name in others:
        (export / name).write_text(name)
    (export / "folder").mkdir()
    assert go_on(api, export, ids).code == 0
    assert {name: (export / name).read_text() for name in others} == {name: name for name in others}
    assert_exact(export, ids, SCENARIO, beside=others | {"folder"})


# --- one owner ---


@pytest.mark.promise(
    "A second process on the same directory",
    "exits immediately with code 2 and names the first, which continues undisturbed",
)
def test_a_second_run_in_a_directory_is_refused_and_does_not_disturb_the_first(api, export, ids):
    with running(api, export, ids, input_ends=False) as first:
        wait_until_blocking(lambda: api.stats.requests > 0, "the first run's requests")
        seconds = {name: cxai(name, export) for name in ("verify", "prune")}
        for name, second in {"run": go_on(api, export, ids), **seconds}.items():
            assert second.code == 2
            assert f"{export} is in use by cxai run, process {first.pid}." in second.err
            assert f"`cxai {name}` needs exclusive access: wait until that ends, or" in second.err
        assert f"{export}: running, updated" in cxai("status", export).out
        end_input(first)
        code, _, errors = ended(first)
    assert code == 0, errors
    assert_exact(export, ids, SCENARIO)


@pytest.mark.promise("ledger.sqlite is a symbolic link", "refused; nothing is written through it")
def test_a_ledger_that_is_a_symbolic_link_is_refused(api, export, ids, tmp_path):
    export.mkdir()
    (tmp_path / "elsewhere").touch()
    (export / "ledger.sqlite").symlink_to(tmp_path / "elsewhere")
    ended = go_on(api, export, ids)
    assert ended.code == 5
    assert "is a symbolic link" in ended.err
    assert (tmp_path / "elsewhere").read_bytes() == b""
