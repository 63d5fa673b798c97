"""IDs come from text, CSV, JSON Lines, compressed or not, from files and from standard input."""

import gzip
import json

import pytest
from support.command import cxai, rows


@pytest.fixture
def run(simulated, tmp_path, export):
    """Run `cxai run` on files, against a flawless API; return the summary and the records' IDs."""

    def run(*arguments, lines=()):
        with simulated() as api:
            ended = export(api, lines, *arguments, "--json")
        assert ended.out, ended.err
        return ended.json, {row["interaction_id"] for row in rows(tmp_path / "export")}

    return run


def test_a_csv_column_is_named(run, guids, tmp_path):
    ids = guids(3)
    path = tmp_path / "calls.csv"
    path.write_text("agent,call\n" + "".join(f'"Doe, J.",{i}\n' for i in ids))
    assert run(path, "--column", "call")[1] == set(ids)


def test_a_jsonl_field_is_named(run, guids, tmp_path):
    ids = guids(3)
    path = tmp_path / "calls.jsonl"
    path.write_text("".join(json.dumps({"call": {"id": i}}) + "\n" for i in ids))
    assert run(path, "--field", "call.id")[1] == set(ids)


def test_several_files_are_one_input_compressed_or_not(run, guids, tmp_path):
    ids = guids(4)
    (tmp_path / "a.txt").write_text("\n".join(ids[:2]))
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress("\n".join(ids[1:]).encode()))
    summary, got = run(tmp_path / "a.txt", tmp_path / "b.txt.gz")
    assert got == set(ids)
    assert (summary["lines"], summary["duplicates"]) == (5, 1)


def test_standard_input_is_a_source_like_any_other(run, guids):
    ids = guids(2)
    assert run("-", lines=ids)[1] == set(ids)


@pytest.mark.parametrize(
    "line", ["../../v1/secrets", "..", "%2e%2e", "a/b", "a?b", "a#b", "a\0b", "é"]
)
def test_what_would_change_the_url_is_never_sent_whatever_the_pattern(simulated, export, line):
    with simulated() as api:
        ended = export(api, ["call-1", line], "--id-pattern", ".*", "--json")
        assert api.stats.requests == 1
    assert ended.json["invalid"] == 1


def test_an_invalid_line_is_listed_with_its_file_and_number(simulated, guids, tmp_path, export):
    with simulated() as api:
        export(api, ["", "call 17", *guids(1)])
    (listed,) = rows(tmp_path / "export", "failures")
    assert (listed["verdict"], listed["source"], listed["line"]) == ("invalid_id", "<stdin>", 2)
    assert listed["reason"].startswith("is not a GUID: 'l' (U+006C) at position 3; expected ")


def test_other_forms_of_ids_are_allowed_by_a_pattern(run):
    summary, got = run(
        "--id-pattern",
        r"call-\d+",
        lines=["call-1", "call-2", "other", "call-\N{ARABIC-INDIC DIGIT ONE}"],
    )
    assert got == {"call-1", "call-2"}
    assert summary["invalid"] == 2


def test_an_input_that_is_not_there_is_told_before_anything_starts(tmp_path):
    ended = cxai("run", tmp_path / "ids.txt", "-o", tmp_path / "export")
    assert ended.code == 2
    assert "ids.txt can't be read: No such file or directory" in ended.err
    assert not (tmp_path / "export").exists()


def test_the_failures_of_one_run_are_an_input_for_the_next(simulated, guids, tmp_path, export):
    ids = guids(20)
    with simulated(broken=0.4) as api:
        export(api, ids, "--max-attempts", "1")
    with simulated() as api:
        ended = export(api, [], tmp_path / "export" / "failures-000001.jsonl")
    assert ended.code == 0, ended.err
    assert {row["interaction_id"] for row in rows(tmp_path / "export")} == set(ids)
