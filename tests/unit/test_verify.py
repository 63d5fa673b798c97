"""`cxai verify` finds any change to an export after it was written."""

import errno
import io
import json
import os
import re
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from support.store import entries_of, run_finished, run_killed

from cxai.core.entry import IgnoredLine
from cxai.errors import DirectoryInUseError, IntegrityError, StoppedError, UsageError
from cxai.inspect.verify import export as of_one
from cxai.inspect.verify import parts, verify_export
from cxai.output.compression import Compression
from cxai.output.directory import OutputDirectory
from cxai.output.part_state import PartState
from cxai.resources.options import Shape
from cxai.simulator import Scenario

SCENARIO = Scenario(missing=0.2)


@pytest.fixture
def ids(guids):
    return guids(25)


def problems(export):
    return verify_export(export).problems


def edit(part, change):
    """Change the text of a part, but not the ledger."""
    part.write_bytes(change(part.read_bytes()))


def tell_the_ledger(export, statement, *values):
    with closing(sqlite3.connect(export / "ledger.sqlite")) as database, database:
        database.execute("DROP TRIGGER IF EXISTS once")
        assert database.execute(statement, values).rowcount > 0


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("left", [run_finished, run_killed])
def test_what_a_run_left_is_intact(tmp_path, ids, left, shape, compression):
    left(tmp_path, ids, SCENARIO, shape=shape, compression=compression)
    found = verify_export(tmp_path)
    assert found.problems == []
    assert found.exit_code == (0 if left is run_finished else 4)
    parts = list(tmp_path.glob("*.jsonl*"))
    assert found.parts == len(parts)
    assert found.bytes == sum(path.stat().st_size for path in parts)
    assert found.lines >= len(ids)


def test_it_changes_no_part_not_even_an_uncommitted_tail(tmp_path, ids):
    run_killed(tmp_path, ids, SCENARIO)
    part = tmp_path / "records-000001.jsonl.open"
    edit(part, lambda content: content + b"a tail that the next run will cut")
    content = part.read_bytes()
    assert problems(tmp_path) == []
    assert part.read_bytes() == content


def test_an_export_that_has_only_started_is_intact(tmp_path):
    run_killed(tmp_path, [], SCENARIO)
    found = verify_export(tmp_path)
    assert (found.problems, found.parts, found.lines) == ([], 0, 0)
    assert found.exit_code == 4


def test_damage_is_located_by_part_and_byte(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO, batch=5)
    part = tmp_path / "records-000001.jsonl"
    line = part.read_bytes().split(b"\n")[1]
    edit(part, lambda content: content.replace(line, b"[" + line[1:]))
    offset = part.read_bytes().index(b"\n") + 1
    place, *others = problems(tmp_path)
    assert re.fullmatch(
        r"records-000001\.jsonl: bytes 0 to [\d,]+ were changed;"
        rf" byte {offset:,} is 0x5b instead of 0x7b\.",
        place,
    )
    records = part.read_bytes().count(b"\n")
    assert others == [
        f"records, part 1: a line is not a row: [{line[1:63].decode()}…",
        "records-000001.jsonl: its SHA-256 differs from the ledger's.",
        f"{records} IDs have the verdict ok, but {records - 1} have a record.",
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda content: content[:-10], "bytes, but the ledger has"),
        (lambda content: content + b"{}\n", "bytes, but the ledger has"),
        (lambda content: bytes(len(content)), "were changed"),
        (lambda _: b"", "0 bytes, but the ledger has"),
    ],
    ids=["shorter", "longer", "zero-filled", "empty"],
)
def test_a_part_with_other_bytes_is_found(tmp_path, ids, change, expected):
    run_finished(tmp_path, ids, SCENARIO)
    edit(tmp_path / "records-000001.jsonl", change)
    assert any(
        one.startswith("records-000001.jsonl: ") and expected in one for one in problems(tmp_path)
    )


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_a_compressed_part_that_can_not_be_read_is_found(tmp_path, ids, compression):
    run_finished(tmp_path, ids, SCENARIO, compression=compression)
    (part,) = tmp_path.glob("records-*")
    edit(part, lambda content: content[:40] + bytes(100) + content[140:])
    found = problems(tmp_path)
    assert any("can't be decompressed" in one for one in found)
    assert f"{part.name}: its SHA-256 differs from the ledger's." in found


def test_a_missing_part_is_found_with_the_number_of_its_lines(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    part = tmp_path / "records-000001.jsonl"
    lines = part.read_bytes().count(b"\n")
    part.unlink()
    missing, *others = problems(tmp_path)
    assert f"`cxai prune {tmp_path} --missing`" in verify_export(tmp_path).text()
    assert missing == f"{part.name}: No such file or directory; it should have {lines} lines."
    assert others == [f"{lines:,} IDs have the verdict ok, but 0 have a record."]


@pytest.mark.parametrize("set_", ["records", "failures"])
def test_the_advice_on_a_missing_part_has_no_other_advice_beside_it(tmp_path, ids, set_):
    run_finished(tmp_path, ids, SCENARIO)
    (tmp_path / f"{set_}-000001.jsonl").unlink()
    found = verify_export(tmp_path)
    assert len(found.problems) == 2
    (advice,) = found.as_dict()["advice"]
    assert "--reopen-missing" in advice
    assert "new directory" not in advice


def test_the_advice_on_a_damaged_part_names_how_to_fetch_its_ids_again(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    edit(tmp_path / "records-000001.jsonl", lambda content: content[:-10])
    (advice,) = verify_export(tmp_path).as_dict()["advice"]
    assert "move damaged parts out of the directory" in advice
    assert "--reopen-missing" in advice


def test_a_record_of_an_id_without_the_verdict_ok_is_found(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    record = json.loads((tmp_path / "records-000001.jsonl").read_text().partition("\n")[0])
    key = bytes.fromhex(record["interaction_id"].replace("-", ""))
    tell_the_ledger(tmp_path, "UPDATE outcome SET verdict = 'not_found' WHERE key = ?", key)
    expected = f"records, part 1: a row for {record['interaction_id']}, whose verdict is not_found."
    assert expected in problems(tmp_path)
    tell_the_ledger(tmp_path, "DELETE FROM outcome WHERE key = ?", key)
    assert expected.replace("not_found", "none") in problems(tmp_path)


def test_an_id_with_the_verdict_ok_but_no_record_is_found(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    records = (tmp_path / "records-000001.jsonl").read_bytes().count(b"\n")
    tell_the_ledger(tmp_path, "INSERT INTO outcome VALUES (?, 'ok', 1, 1, 1)", b"sixteen bytes id")
    assert problems(tmp_path) == [
        f"{records + 1} IDs have the verdict ok, but {records} have a record.",
        "ledger.sqlite: run 1 counted 25 outcomes, but has 26.",
        (
            f"manifest.json: has the verdicts not_found {25 - records}, ok {records}, but the"
            f" ledger has not_found {25 - records}, ok {records + 1}."
        ),
    ]


def test_a_second_record_of_an_id_is_found(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    part = tmp_path / "records-000001.jsonl"
    first = part.read_bytes().partition(b"\n")[0]
    interaction_id = json.loads(first)["interaction_id"]

    def doubled(content):
        second = content.split(b"\n")[1]
        return content.replace(
            json.loads(second)["interaction_id"].encode(), interaction_id.encode()
        )

    edit(part, doubled)
    assert f"records, part 1: a second record for {interaction_id}." in problems(tmp_path)


def test_at_most_a_hundred_problems_are_kept_and_the_rest_is_counted(tmp_path, guids):
    run_finished(tmp_path, guids(110), Scenario())
    edit(
        tmp_path / "records-000001.jsonl",
        lambda content: content.replace(b'{"interaction_id"', b'{"interaction_ID"'),
    )
    found = verify_export(tmp_path)
    assert len(found.problems) == 100
    assert found.more >= 10
    assert f"… and {found.more} more" in found.text()


def test_the_findings_have_a_form_for_people_and_one_for_programs(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    found = verify_export(tmp_path)
    assert found.text().startswith(f"{tmp_path} is intact: 25 lines in 2 parts, ")
    assert found.as_dict()["intact"] is True
    (tmp_path / "records-000001.jsonl").unlink()
    found = verify_export(tmp_path)
    assert found.text().startswith(f"{tmp_path} is DAMAGED (")
    assert found.problems[0] in found.text()
    assert "  Don't load it. Put the missing files back." in found.text()
    assert found.as_dict()["intact"] is False


def test_without_an_export_there_is_nothing_to_verify(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(UsageError, match=f"{path} has no export"):
            verify_export(path)
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_a_run_owns_is_not_verified(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    with OutputDirectory(tmp_path), pytest.raises(DirectoryInUseError):
        verify_export(tmp_path)


def test_a_part_that_is_not_in_the_ledger_is_found(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    stranger = tmp_path / "records-000007.jsonl"
    stranger.write_bytes((tmp_path / "records-000001.jsonl").read_bytes())
    assert problems(tmp_path) == [
        "records-000007.jsonl: not a part in the ledger, but a loader would read it."
    ]


def test_an_export_with_an_emptied_ledger_is_not_intact(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    (tmp_path / "ledger.sqlite").write_bytes(b"")
    assert "records-000001.jsonl: not a part in the ledger" in problems(tmp_path)[1]


def test_verdicts_that_are_missing_from_the_failures_are_found(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    tell_the_ledger(tmp_path, "DELETE FROM outcome WHERE verdict = 'not_found'")
    of_rows = [one for one in problems(tmp_path) if one.startswith("failures, part 1")]
    assert of_rows
    assert all(one.endswith("whose verdict is none.") for one in of_rows)
    tell_the_ledger(tmp_path, "UPDATE outcome SET verdict = 'exhausted' WHERE verdict = 'ok'")
    assert any("are listed with it in the failures" in one for one in problems(tmp_path))


def test_an_input_with_a_verdict_for_each_line_is_complete(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    asked = entries_of(ids)
    found = verify_export(tmp_path, [[*asked[:10], IgnoredLine.BLANK], asked[10:]])
    assert (found.asked, found.missing, found.exit_code) == (25, 0, 0)
    assert found.as_dict().items() >= {"intact": True, "complete": True, "missing": 0}.items()
    assert verify_export(tmp_path).as_dict()["complete"] is True  # according to the last run


@pytest.mark.parametrize("blocks", [[], [[IgnoredLine.BLANK, IgnoredLine.COMMENT]]])
def test_an_input_without_ids_proves_nothing_and_is_not_green(tmp_path, ids, blocks):
    run_finished(tmp_path, ids, SCENARIO)
    found = verify_export(tmp_path, blocks)
    assert found.exit_code == 4
    assert "The given input has no IDs to look up." in found.text()


def test_lines_of_the_input_without_a_verdict_are_not_damage(tmp_path, ids):
    run_finished(tmp_path, ids[:12], SCENARIO)
    found = verify_export(tmp_path, [entries_of(ids)])
    assert (found.problems, found.missing, found.exit_code) == ([], 13, 4)
    first, missing, *examples, more, advice = found.text().splitlines()
    assert first.startswith(f"{tmp_path} is intact, but INCOMPLETE (12 lines in 2 parts, ")
    assert missing == "  13 lines of the input have no verdict:"
    assert examples == [f"    ids.txt, line {n}: {ids[n - 1]}" for n in range(13, 23)]
    assert more == "    … and 3 more"
    assert advice == "  Don't load it yet: run `cxai run` with this input, then verify again."
    assert found.as_dict().items() >= {"intact": True, "complete": False, "missing": 13}.items()
    assert found.as_dict()["missing_examples"] == [one.strip() for one in examples]


def test_one_line_without_a_verdict_is_in_the_singular(tmp_path, ids):
    run_finished(tmp_path, ids[:-1], SCENARIO)
    text = verify_export(tmp_path, [entries_of(ids)]).text()
    assert "  1 line of the input has no verdict:" in text


def test_damage_takes_precedence_over_what_is_missing(tmp_path, ids):
    run_finished(tmp_path, ids[:12], SCENARIO)
    (tmp_path / "records-000001.jsonl").unlink()
    found = verify_export(tmp_path, [entries_of(ids)])
    assert found.exit_code == 5
    lines = found.text().splitlines()
    place = lines.index("  It is also INCOMPLETE:")
    assert lines[place - 1].startswith("  Don't load it. Put the missing files back.")
    assert lines[place + 1] == "  13 lines of the input have no verdict:"


def test_in_an_export_that_has_only_started_all_lines_are_missing(tmp_path, ids):
    (tmp_path / "ledger.sqlite").touch()
    assert verify_export(tmp_path, [entries_of(ids)]).missing == 25


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        (b'"schema_version":2', b'"schema_version":1', "has schema version 1, not 2."),
        (b'"schema_version":2', b'"schema_version":"2"', 'has schema version "2", not 2.'),
        (b'"schema_version"', b'"schema_Version"', "has schema version null, not 2."),
        (b'"run_id"', b'"run_ID"', "has no run_id."),
        (b'"retrieved_at"', b'"retrieved_AT"', "has no retrieved_at."),
    ],
)
@pytest.mark.parametrize("part_set", ["records", "failures"])
def test_a_row_without_the_columns_of_every_row_is_found(
    tmp_path, ids, part_set, was, now, expected
):
    run_finished(tmp_path, ids, SCENARIO)
    edit(tmp_path / f"{part_set}-000001.jsonl", lambda content: content.replace(was, now, 1))
    (problem,) = [one for one in problems(tmp_path) if one.endswith(expected)]
    assert problem.startswith(f"{part_set}, part 1: a row for ")


def test_an_export_of_another_ledger_format_is_not_reported_as_damaged(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    tell_the_ledger(tmp_path, "UPDATE export SET format = 99")
    with pytest.raises(UsageError, match=r"a newer version.*ledger format is 99"):
        verify_export(tmp_path)


# --- parts without rows, and parts that were released ---


@pytest.mark.parametrize(("compression", "suffix"), [("none", ""), ("gzip", ".gz")])
def test_a_finished_part_without_rows_is_required_and_read(tmp_path, ids, compression, suffix):
    run_finished(tmp_path, ids, Scenario(), compression=Compression(compression))
    assert problems(tmp_path) == []
    name = f"failures-000001.jsonl{suffix}"
    (tmp_path / name).unlink()
    assert problems(tmp_path) == [f"{name}: No such file or directory; it should have 0 lines."]


def test_a_released_part_is_not_required():
    part = PartState("records", 1, 100, 2, sealed=True)
    assert parts.has_file(part)
    assert not parts.has_file(replace(part, released_at="2026-11-26T00:00:00.000Z"))


def test_a_part_that_the_disk_fails_to_read_is_a_problem(tmp_path, ids, monkeypatch):
    run_finished(tmp_path, ids, SCENARIO)
    plainly = parts.open_for_reading

    def open_for_reading(path):
        return Failing(plainly(path)) if path.name.startswith("records") else plainly(path)

    monkeypatch.setattr(parts, "open_for_reading", open_for_reading)
    found = verify_export(tmp_path)
    assert found.exit_code == 5
    assert "records-000001.jsonl: can't be read: Input/output error." in found.problems


class Failing(io.FileIO):
    """A file on a disk that has failed."""

    def __init__(self, file):
        super().__init__(os.dup(file.fileno()))
        file.close()

    def read(self, size=-1):  # noqa: ARG002 - as of any file
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
def test_a_disk_too_full_for_the_scratch_file_is_not_an_internal_error(
    tmp_path, ids, monkeypatch, number
):
    run_finished(tmp_path, ids, SCENARIO)

    def fails(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(of_one, "DistinctKeys", fails)
    with pytest.raises(StoppedError, match=f"Can't verify .*: {os.strerror(number)}"):
        verify_export(tmp_path)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE outcome SET part = part + 1 WHERE verdict = 'ok'", "which the ledger has in part"),
        ("UPDATE outcome SET run = 9", "run 9 counted 0 outcomes, but has 25"),
        ("UPDATE run SET settled = settled + 1", "run 1 counted 26 outcomes, but has 25"),
        ("UPDATE run SET settled = settled - 1", "run 1 counted 24 outcomes, but has 25"),
    ],
)
def test_a_ledger_that_contradicts_itself_is_found(tmp_path, ids, change, expected):
    run_finished(tmp_path, ids, SCENARIO)
    tell_the_ledger(tmp_path, change)
    found = verify_export(tmp_path)
    assert found.exit_code == 5
    assert any(expected in problem for problem in found.problems)


@pytest.mark.parametrize("part_set", ["interactions", "scores", "segments"])
def test_rows_of_an_id_in_parts_with_different_numbers_are_found(tmp_path, ids, part_set):
    run_finished(tmp_path, ids, SCENARIO, shape=Shape.TABLES)
    renumber = "SET number = 7 WHERE set_name = ? AND number = 1"
    for table in ("part", "extent", "added"):
        tell_the_ledger(tmp_path, f"UPDATE {table} {renumber}", part_set)
    (tmp_path / f"{part_set}-000001.jsonl").rename(tmp_path / f"{part_set}-000007.jsonl")
    assert any(
        problem.startswith(f"{part_set}, part 7: ") and "has in part 1" in problem
        for problem in problems(tmp_path)
    )


def test_a_ledger_without_the_form_of_the_export_is_damaged(tmp_path, ids):
    run_finished(tmp_path, ids, SCENARIO)
    tell_the_ledger(tmp_path, "DELETE FROM export")
    with pytest.raises(IntegrityError, match="the ledger is damaged"):
        verify_export(tmp_path)
