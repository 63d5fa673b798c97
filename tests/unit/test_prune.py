"""Parts that were loaded elsewhere are released, and the export works without them."""

import gzip
import json
import os

import pytest
from backports import zstd
from support.in_process import cxai_here
from support.leftovers import SCENARIO, flip
from support.store import entries_of, opened, run_finished, run_killed

from cxai.clock import SystemClock
from cxai.errors import IntegrityError, UsageError
from cxai.inspect.prune import prune_export
from cxai.inspect.status import export_status
from cxai.inspect.verify import verify_export
from cxai.output.compression import Compression
from cxai.output.directory import OutputDirectory
from cxai.resources.options import Shape
from cxai.simulator import behaviour_of

PARTS = ("records-000001.jsonl", "failures-000001.jsonl")


@pytest.fixture
def ids(guids):
    return guids(40)


@pytest.fixture
def export(tmp_path, ids):
    """Return an export of the first 30 IDs; the next run has ten more."""
    run_finished(tmp_path, ids[:30], SCENARIO)
    return tmp_path


def prune(export, *names, **how):
    return prune_export(export, names, SystemClock(), **how)


def content_of(export):
    return {path.name: path.read_bytes() for path in export.iterdir() if path.name != ".lock"}


def admitted(export, ids, **how):
    """Return how many of the IDs a run would fetch."""
    with opened(export, **how) as store:
        return len(store.admit(entries_of(ids)).fresh)


def manifest_of(export):
    return json.loads((export / "manifest.json").read_text())


# --- what is released ---


@pytest.mark.promise(
    "Finished parts were loaded elsewhere and are to be deleted",
    "`cxai prune` checks, releases and deletes them; their IDs are never fetched again",
    group="Ledger",
)
@pytest.mark.parametrize("how", [PARTS[:1], PARTS, "all"])
def test_a_released_part_is_deleted_and_its_ids_are_not_fetched_again(export, ids, how):
    pruned = prune(export, every=True) if how == "all" else prune(export, *how)
    names = PARTS if how == "all" else how
    assert set(pruned.released) == set(pruned.deleted) == set(names)
    assert not any((export / name).exists() for name in names)
    assert admitted(export, ids) == 10
    run_finished(export, ids, SCENARIO)
    assert verify_export(export).problems == []


def test_the_manifest_lists_released_parts_separately(export):
    before = manifest_of(export)
    prune(export, PARTS[0])
    after = manifest_of(export)
    assert [part["file"] for part in after["parts"]] == [PARTS[1]]
    (released,) = after["released_parts"]
    assert released.pop("released_at")
    assert released in before["parts"]
    assert after["verdicts"] == before["verdicts"]


def test_status_counts_released_parts(export):
    prune(export, PARTS[0])
    assert "in 1 part," in export_status(export).text()
    assert "(1 part released)" in export_status(export).text()
    sets = {of_set["set"]: of_set for of_set in export_status(export).as_dict()["sets"]}
    assert sets["records"]["released_parts"] == 1
    assert sets["failures"]["released_parts"] == 0


def test_a_part_may_be_given_by_its_path(export, monkeypatch):
    monkeypatch.chdir(export)
    assert prune(export, f"./{PARTS[0]}").released == [PARTS[0]]
    assert prune(export, export / PARTS[1], export / PARTS[1]).released == [PARTS[1]]


def test_a_part_can_be_released_and_kept(export, ids):
    assert prune(export, every=True, keep=True).deleted == []
    assert all((export / name).exists() for name in PARTS)
    run_finished(export, ids, SCENARIO)
    assert all((export / name).exists() for name in PARTS)  # and not in quarantine
    assert prune(export, PARTS[0]).deleted == [PARTS[0]]  # later, if it is to go after all


def test_releasing_a_part_twice_changes_nothing(export):
    prune(export, PARTS[0])
    before = content_of(export)
    assert prune(export, PARTS[0]).released == []
    assert prune(export, PARTS[0], missing=True).released == []
    assert content_of(export) == before


@pytest.mark.parametrize("part_set", ["interactions", "scores", "segments", "failures"])
def test_a_part_of_any_table_can_be_released(tmp_path, ids, part_set):
    how = {"shape": Shape.TABLES, "compression": Compression.ZSTD, "part_bytes": 2_000}
    run_finished(tmp_path, ids[:30], SCENARIO, **how)
    assert prune(tmp_path, f"{part_set}-000001.jsonl.zst").released
    assert verify_export(tmp_path).problems == []
    assert admitted(tmp_path, ids[:30], **how) == 0
    run_finished(tmp_path, ids, SCENARIO, **how)
    assert verify_export(tmp_path).problems == []


@pytest.mark.parametrize("shape", list(Shape))
@pytest.mark.parametrize("compression", list(Compression))
def test_a_part_without_rows_stays_for_the_next_load_however_it_is_compressed(
    tmp_path, ids, shape, compression
):
    found = [one for one in ids if behaviour_of(SCENARIO, one).has_result][:5]
    how = {"shape": shape, "compression": compression}
    run_finished(tmp_path, found, SCENARIO, **how)
    (empty,) = tmp_path.glob("failures-*")
    pruned = prune(tmp_path, every=True)
    assert empty.name not in pruned.released
    assert list(tmp_path.glob("*.jsonl*")) == [empty]
    empty.unlink()  # by a loader: it has no rows to lose
    assert prune(tmp_path, missing=True).released == []
    run_finished(tmp_path, found, SCENARIO, **how)
    assert verify_export(tmp_path).problems == []


# --- parts that a loader has removed or changed ---


@pytest.mark.promise(
    "A finished part is missing, because a loader moved or deleted it",
    "runs are refused and list the options; `cxai prune --missing` is one",
    group="Ledger",
)
@pytest.mark.parametrize("names", [(), PARTS[:1]])
def test_a_missing_part_is_released_with_the_option_missing(export, ids, names):
    (export / PARTS[0]).unlink()
    with pytest.raises(IntegrityError, match=r"cxai prune .* --missing.*--reopen-missing"):
        admitted(export, ids)
    assert prune(export, *names, missing=True).released == [PARTS[0]]
    assert admitted(export, ids) == 10
    assert verify_export(export).problems == []


def test_a_missing_part_is_not_released_by_its_name_alone(export):
    (export / PARTS[0]).unlink()
    before = content_of(export)
    with pytest.raises(UsageError, match="is missing, so its content can't be checked"):
        prune(export, *PARTS)
    assert content_of(export) == before
    assert prune(export, every=True).released == [PARTS[1]]  # all that are there


COMPRESSORS = {".gz": gzip.compress, ".zst": zstd.compress}


@pytest.mark.promise(
    "A finished part was compressed on purpose",
    "`cxai prune` checks the content of the copy, and releases the part; the copy stays",
    group="Ledger",
)
@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_a_part_that_the_owner_compressed_is_released_by_its_name(export, ids, suffix):
    part = export / PARTS[0]
    copy = export / f"{PARTS[0]}{suffix}"
    copy.write_bytes(COMPRESSORS[suffix](part.read_bytes()))
    part.unlink()
    pruned = prune(export, PARTS[0])
    assert (pruned.released, pruned.deleted) == ([PARTS[0]], [])
    run_finished(export, ids, SCENARIO)
    assert copy.exists()
    assert not (export / "quarantine").exists()
    assert verify_export(export).problems == []


def test_a_compressed_copy_with_other_content_is_refused(export):
    part = export / PARTS[0]
    (export / f"{PARTS[0]}.gz").write_bytes(gzip.compress(part.read_bytes()[:-1]))
    part.unlink()
    with pytest.raises(IntegrityError, match="does not have the content of"):
        prune(export, PARTS[0])


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_a_compressed_copy_that_can_not_be_decompressed_is_refused(export, suffix):
    part = export / PARTS[0]
    copy = bytearray(COMPRESSORS[suffix](part.read_bytes()))
    copy[10:30] = b"\xff" * 20
    (export / f"{PARTS[0]}{suffix}").write_bytes(copy)
    part.unlink()
    with pytest.raises(IntegrityError, match=r"can't be read: .*Nothing was released"):
        prune(export, PARTS[0])


# --- what is refused ---


@pytest.mark.parametrize("names", [PARTS[:1], PARTS])
def test_a_part_that_was_changed_is_not_released(export, names):
    flip(export / PARTS[0], 12_345)
    before = content_of(export)
    with pytest.raises(IntegrityError, match=r"was changed.*Nothing was released"):
        prune(export, *names)
    with pytest.raises(IntegrityError, match="was changed"):
        prune(export, every=True)
    assert content_of(export) == before


def link(part):
    part.rename(part.with_name("elsewhere"))
    part.symlink_to("elsewhere")


def directory(part):
    part.unlink()
    part.mkdir()


def pipe(part):
    part.unlink()
    os.mkfifo(part)


@pytest.mark.parametrize("make", [link, directory, pipe])
def test_a_part_that_is_not_a_regular_file_is_neither_released_nor_deleted(export, make):
    make(export / PARTS[0])
    with pytest.raises(IntegrityError, match=PARTS[0]):
        prune(export, PARTS[0])
    assert os.path.lexists(export / PARTS[0])


@pytest.mark.parametrize(
    "name",
    [
        "records-000002.jsonl.open",
        "records-000099.jsonl",
        "ledger.sqlite",
        "../x",
        "",
        "manifest.json",
    ],
)
def test_only_finished_parts_can_be_released(export, name):
    before = content_of(export)
    with pytest.raises(UsageError, match=r"is not a finished part|is not in"):
        prune(export, name)
    assert content_of(export) == before


def test_a_part_that_is_still_being_written_can_not_be_released(tmp_path, ids):
    run_killed(tmp_path, ids, SCENARIO)
    for name in ("records-000001.jsonl", "records-000001.jsonl.open"):
        with pytest.raises(UsageError, match="is not a finished part"):
            prune(tmp_path, name)
    assert prune(tmp_path, every=True).released == []


def test_without_arguments_it_lists_the_parts_that_can_be_released(export):
    with pytest.raises(UsageError, match=f"Finished and not released: {PARTS[1]}, {PARTS[0]}"):
        prune(export)


def test_parts_and_all_can_not_be_combined(export):
    with pytest.raises(UsageError, match="not both"):
        prune(export, PARTS[0], every=True)


def test_a_directory_in_use_by_a_run_is_refused(export):
    with OutputDirectory(export), pytest.raises(UsageError, match="is in use by cxai run"):
        prune(export, every=True)


# --- crashes ---


@pytest.mark.promise(
    "A crash while parts are released",
    "nothing is deleted that was not released before; the next run works as usual",
    group="Ledger",
)
@pytest.mark.parametrize("at", ["rename", "unlink"])
def test_a_crash_while_parts_are_released_loses_nothing(export, ids, monkeypatch, at):
    class Crash(BaseException):
        pass

    def crash(*_arguments, **_named):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(os, at, crash)
        with pytest.raises(Crash):
            prune(export, every=True)
    assert all((export / name).exists() for name in PARTS)
    assert admitted(export, ids) == 10
    assert set(prune(export, every=True).deleted) == set(PARTS)
    assert manifest_of(export)["parts"] == []
    assert len(manifest_of(export)["released_parts"]) == 2
    run_finished(export, ids, SCENARIO)
    assert verify_export(export).problems == []


def test_the_command_lists_what_it_released(export, capsys):
    ended = cxai_here(capsys, "prune", export, PARTS[0])
    assert ended.code == 0
    assert f"{export}: 1 part released, 1 file deleted.\n  released {PARTS[0]}\n" in ended.out
    assert cxai_here(capsys, "prune", export, "--all", "--json").json == {
        "directory": str(export),
        "released": [PARTS[1]],
        "deleted": [PARTS[1]],
    }
    assert "nothing to release" in cxai_here(capsys, "prune", export, "--all").out
