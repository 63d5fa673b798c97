"""Files: their formats, their names, and which are refused before a run."""

import gzip
import os
import socket
from pathlib import Path

import pytest
from backports import zstd
from support.inputs import CSV, JSONL, TEXT, A, B, C, ids, refusal, source

from cxai.errors import UsageError

pytestmark = pytest.mark.usefixtures("nothing_left_open")


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("ids.txt", TEXT, 1),
        ("ids.ids", TEXT, 1),
        ("ids", TEXT, 1),
        ("ids.log", TEXT, 1),
        ("ids.csv", CSV, 2),
        ("IDS.CSV", CSV, 2),
        ("ids.tsv", CSV.replace(",", "\t"), 2),
        ("ids.jsonl", JSONL, 1),
        ("ids.ndjson", JSONL, 1),
    ],
)
@pytest.mark.parametrize(
    ("ending", "compress"),
    [
        ("", bytes),
        ("", gzip.compress),
        (".gz", gzip.compress),
        ("", zstd.compress),
        (".zst", zstd.compress),
        (".gz", zstd.compress),
        (".gz", bytes),
    ],
)
def test_the_name_decides_the_format_and_the_content_the_compression(
    tmp_path, name, content, line, ending, compress
):
    path = tmp_path / (name + ending)
    path.write_bytes(compress(content.encode()))
    reader = source(path)
    reader.check()
    assert ids(reader) == [(path.name, line, A)]


def test_a_column_makes_any_file_csv_and_a_field_json_lines(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text(f"call\n{A}\n")
    assert ids(source(path, column="call")) == [("ids.txt", 2, A)]
    path.write_text(f'{{"call":{{"id":"{A}"}}}}\n')
    assert ids(source(path, field="call.id")) == [("ids.txt", 1, A)]


def test_a_byte_order_mark_is_ignored_in_every_format(tmp_path):
    for name, content in (
        ("ids.txt", TEXT),
        ("ids.csv", f"interaction_id\n{A}\n"),
        ("ids.jsonl", JSONL),
    ):
        path = tmp_path / name
        marked = b"\xef\xbb\xbf" + content.encode()
        for data in (marked, gzip.compress(marked)):
            path.write_bytes(data)
            assert [item[2] for item in ids(source(path))] == [A]


def test_entries_contain_the_file_name_as_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ids.txt").write_text(TEXT)
    [[entry]] = source("./ids.txt").blocks()
    assert entry.source == "./ids.txt"


def test_files_are_read_in_order_with_their_own_line_numbers(tmp_path):
    (tmp_path / "1.txt").write_text(f"{A}\n\n{B}")
    (tmp_path / "2.csv").write_text(f"interaction_id\n{C}\n")
    (tmp_path / "3.txt").write_text("")
    paths = [tmp_path / name for name in ("1.txt", "2.csv", "3.txt", "1.txt")]
    expected = [("1.txt", 1, A), ("1.txt", 3, B)]
    assert ids(source(*paths)) == [*expected, ("2.csv", 2, C), *expected]


def test_column_and_field_exclude_each_other():
    with pytest.raises(UsageError, match="one of them"):
        source("ids.txt", column="a", field="b")


def test_standard_input_can_be_named_only_once():
    with pytest.raises(UsageError, match="only once"):
        source("-", "ids.txt", "-")


def test_the_constructor_opens_nothing(tmp_path):
    source(tmp_path / "missing.txt")


def test_a_missing_file_is_refused_before_the_run(tmp_path):
    (tmp_path / "ids.txt").write_text(TEXT)
    message = refusal(source(tmp_path / "ids.txt", tmp_path / "missing.txt"))
    assert message.startswith(f"{tmp_path}/missing.txt can't be read: No such file or directory.")


def test_a_directory_is_refused_before_the_run(tmp_path):
    assert refusal(source(tmp_path)) == f"{tmp_path} is a directory. Name the files in it."


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo])
def test_an_unreadable_file_is_refused_before_the_run(tmp_path, make):
    path = tmp_path / "ids.txt"
    make(path)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert refusal(source(path)).startswith(f"{path} can't be read: Permission denied.")


def test_a_socket_and_a_name_with_nul_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("ids")
        assert refusal(source("ids")).startswith("ids is a socket.")
    assert refusal(source("a\0b")).startswith("a\0b can't be read: ")


def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ids.txt").write_text(TEXT)
    reader = source("~/ids.txt")
    reader.check()
    assert [item[2] for item in ids(reader)] == [A]
    assert next(source("~/ids.txt").blocks())[0].source == f"{tmp_path}/ids.txt"


def test_a_file_given_twice_is_read_twice(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text(TEXT)
    twice = source(path, path)
    twice.check()
    assert ids(twice) == [("ids.txt", 1, A)] * 2


def test_the_same_file_may_be_read_several_times(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text(TEXT)
    reading = source(path, path)
    reading.check()
    assert len(ids(reading)) == len(ids(reading)) == 2
