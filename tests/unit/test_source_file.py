import asyncio
import errno
import gzip
import os
import socket
import subprocess
import sys
import threading
import zlib
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest
from backports import zstd

from cxai.core.entry import IdRule, IgnoredLine
from cxai.core.secret import Secrets
from cxai.errors import InputBrokenError, UsageError
from cxai.sources.file import FileSource

A = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
B = "9b2d8f0e-1c1a-4b52-8f4e-6f5d3c2b1a00"
C = "0aa52d6b-6a5d-4fc5-bd3d-5c50f3e4b9d7"

PATIENCE_S = 10


@pytest.fixture(autouse=True)
def no_thread_and_no_file_stays_behind():
    before = open_files()
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name == "source"] == []
    assert open_files() == before


def open_files():
    return len(list(Path("/dev/fd").iterdir()))


@contextmanager
def as_stdin(descriptor):
    """Make `descriptor` standard input, and close it afterwards."""
    before = os.dup(0)
    os.dup2(descriptor, 0)
    os.close(descriptor)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


def source(*paths, rule=None, **kind):
    return FileSource([str(path) for path in paths], rule or IdRule(), **kind)


def ids(file_source):
    """Return (file's last name, line, ID or reason) of all items."""
    return [
        (Path(entry.source).name, entry.line, str(entry.invalid or entry.id))
        for block in file_source.blocks()
        for entry in block
        if not isinstance(entry, IgnoredLine)
    ]


def refusal(file_source):
    with pytest.raises(UsageError) as raised:
        file_source.check()
    return str(raised.value)


# --- kinds ---------------------------------------------------------------------------------------

TEXT = f"{A}\n"
CSV = f"n,interaction_id\n1,{A}\n"
JSONL = f'{{"interaction_id":"{A}"}}\n'


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
def test_the_name_tells_the_kind_and_the_content_the_compression(
    tmp_path, name, content, line, ending, compress
):
    path = tmp_path / (name + ending)
    path.write_bytes(compress(content.encode()))
    reader = source(path)
    reader.check()
    assert ids(reader) == [(path.name, line, A)]


def test_a_column_makes_any_name_csv_and_a_field_json_lines(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text(f"call\n{A}\n")
    assert ids(source(path, column="call")) == [("ids.txt", 2, A)]
    path.write_text(f'{{"call":{{"id":"{A}"}}}}\n')
    assert ids(source(path, field="call.id")) == [("ids.txt", 1, A)]


def test_a_byte_order_mark_is_no_part_of_any_kind(tmp_path):
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


def test_entries_name_their_file_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ids.txt").write_text(TEXT)
    [[entry]] = source("./ids.txt").blocks()
    assert entry.source == "./ids.txt"


def test_files_come_one_after_the_other_each_with_its_own_lines(tmp_path):
    (tmp_path / "1.txt").write_text(f"{A}\n\n{B}")
    (tmp_path / "2.csv").write_text(f"interaction_id\n{C}\n")
    (tmp_path / "3.txt").write_text("")
    paths = [tmp_path / name for name in ("1.txt", "2.csv", "3.txt", "1.txt")]
    expected = [("1.txt", 1, A), ("1.txt", 3, B)]
    assert ids(source(*paths)) == [*expected, ("2.csv", 2, C), *expected]


# --- before the run ------------------------------------------------------------------------------


def test_column_and_field_contradict_each_other():
    with pytest.raises(UsageError, match="one of them"):
        source("ids.txt", column="a", field="b")


def test_standard_input_can_be_given_once():
    with pytest.raises(UsageError, match="only once"):
        source("-", "ids.txt", "-")


def test_nothing_is_opened_by_the_constructor(tmp_path):
    source(tmp_path / "missing.txt")


def test_a_file_that_is_missing_is_named_before_the_run(tmp_path):
    (tmp_path / "ids.txt").write_text(TEXT)
    message = refusal(source(tmp_path / "ids.txt", tmp_path / "missing.txt"))
    assert message.startswith(f"{tmp_path}/missing.txt can't be read: No such file or directory.")


def test_a_directory_is_named_before_the_run(tmp_path):
    assert refusal(source(tmp_path)) == f"{tmp_path} is a directory. Name the files in it."


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo])
def test_a_file_that_may_not_be_read_is_named_before_the_run(tmp_path, make):
    path = tmp_path / "ids.txt"
    make(path)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert refusal(source(path)).startswith(f"{path} can't be read: Permission denied.")


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd.compress])
def test_csv_without_the_column_is_named_before_the_run(tmp_path, compress):
    path = tmp_path / "ids.csv"
    path.write_bytes(compress(b"n,id\n" + b"1,x\n" * 200_000))
    assert refusal(source(path)) == (
        f"{path} has no column 'interaction_id' or 'interactionIdentifier'; its header row is"
        " 'n', 'id'. Name the column that holds the IDs with --column."
    )
    source(path, column="n", rule=IdRule("1")).check()


@pytest.mark.parametrize("lines", [1, 3, 199, 200, 250])
def test_an_input_without_an_id_in_its_first_lines_is_refused_at_any_size(tmp_path, lines):
    path = tmp_path / "calls.txt"
    path.write_text("id of call\n" * lines)
    which = {1: "its only line is no ID", 3: "not one of its 3 lines is an ID"}.get(
        lines, f"not one of {'its 199' if lines == 199 else 'the first 200'} lines is an ID"
    )
    assert refusal(source(path)).startswith(
        f"{path}: {which}; line 1, 'id of call', is not a GUID: 'i' (U+0069) at position 1; "
    )


def test_an_input_with_an_id_among_its_first_lines_is_used(tmp_path):
    path = tmp_path / "calls.txt"
    for bad in (1, 50, 198):
        path.write_text("# calls\n\n" + "id,agent\n" * bad + TEXT)
        source(path).check()


def check_as(how, path, **kind):
    """Check a file's content as a file, on standard input from a pipe, or as a named pipe."""
    content = path.read_bytes()
    if how == "file":
        return source(path, **kind).check()
    if how == "named pipe":
        path.unlink()
        os.mkfifo(path)
        writer = threading.Thread(target=path.write_bytes, args=(content,), daemon=True)
        writer.start()
        try:
            return source(path, **kind).check()
        finally:
            writer.join(PATIENCE_S)
    with piped() as pipe:
        pipe.write(content)
        pipe.close()
        return source(**kind).check()


PLACES = ["file", "standard input", "named pipe"]


@pytest.mark.promise(
    "A wrong `--field` or `--column`, or lines of which none is an ID: one line or a million, in"
    " a file, a named pipe or standard input",
    "exit code 2 before anything is written or asked; the message names the fields or columns that"
    " the lines have, and the one that holds IDs",
    group="Input",
)
@pytest.mark.parametrize("how", PLACES)
@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        (
            f'{{"call":"{A}","n":1}}\n',
            {"field": "id"},
            "fields 'call', 'n'. IDs are in 'call': give --field call.",
        ),
        (
            f'{{"c":{{"id":"{A}"}},"n":1}}\n' * 3,
            {"field": "id"},
            "fields 'c.id', 'n'. IDs are in 'c.id'",
        ),
        (f'{{"a":"{A}","b":"{B}"}}\n', {"field": "id"}, "fields 'a', 'b'. Name the field"),
        (
            f"{A}\n",
            {"field": "id"},
            "It holds IDs alone, one a line: give them in a file named .txt",
        ),
        (
            f"n,call\n1,{A}\n",
            {"column": "id"},
            "has no column 'id'; its header row is 'n', 'call'.",
        ),
        (
            f"n;id\n1,{A}\n",
            {"column": "id"},
            "Its header row is divided by ';', but its rows are by ',': make them alike.",
        ),
        (f"n,guid\n1,{A}\n", {"column": "id"}, "IDs are in column 'guid': give --column guid."),
        (f"sep=;\nn;guid\n1;{A}\n", {"column": "id"}, "IDs are in column 'guid'"),
        (f'{{"items":[{{"id":"{A}"}}]}}\n', {"field": "id"}, "`jq -c '.items[]'`."),
        (
            "\u0416\u0416\n".encode("utf-16-le").decode("latin-1") + "\0",
            {},
            "NUL bytes, as binary data and UTF-16 do.",
        ),
        (
            f"n,Call_Id\n1,{A}\n",
            {"column": "call_id"},
            "Is it 'Call_Id'? Then give --column Call_Id.",
        ),
        (f"id,call\n1,{A}\n", {"column": "id"}, "IDs are in column 'call': give --column call."),
        (f"{A}\n{B}\n", {"column": "id"}, "That is no header row: there is an ID in it."),
        (
            f"n,call\n1,{A}\n",
            {},
            "columns 'n', 'call'. IDs are in column 'call': give --column call.",
        ),
        (f"1;{A}\n2;{B}\n", {}, "It looks like CSV without a header row"),
        (
            f'{{"call":"{A}"}}\n',
            {},
            "It holds JSON Lines with the fields 'call'. IDs are in 'call'",
        ),
        ("call-1\ncall-2\n", {}, "describe them with --id-pattern."),
    ],
)
def test_an_input_without_ids_says_what_its_lines_have(tmp_path, how, content, kind, says):
    path = tmp_path / "ids"
    path.write_text(content)
    with pytest.raises(UsageError) as raised:
        check_as(how, path, **kind)
    assert says in str(raised.value)
    assert str(raised.value).startswith("<stdin>" if how == "standard input" else str(path))


@pytest.mark.promise(
    "An input with nothing in it, or with blank lines and comments alone",
    "exit code 2 before anything is written, unless `--allow-empty` says that it may be so",
    group="Input",
)
@pytest.mark.parametrize("how", PLACES)
@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        ("", {}, "it is empty"),
        ("\n", {}, "its only line is blank or a comment"),
        ("# none today\r\n\r\n", {}, "it has 2 lines, all blank or comments"),
        ("\u00a0\n\ufeff\n", {}, "it has 2 lines, all blank or comments"),
        ("", {"column": "id"}, "it is empty"),
        ("n,id\n", {"column": "id"}, "it is empty"),
        ("n,id\n,\n", {"column": "id"}, "its only line is blank or a comment"),
        ("\n\n", {"field": "id"}, "it has 2 lines, all blank or comments"),
    ],
)
def test_an_empty_input_is_refused_unless_it_may_be_empty(tmp_path, how, content, kind, why):
    path = tmp_path / "ids"
    path.write_text(content)
    with pytest.raises(UsageError) as raised:
        check_as(how, path, **kind)
    assert f" holds no ID: {why}. If that is no mistake, give --allow-empty." in str(raised.value)
    path.unlink()
    path.write_text(content)
    reader = source(path, **kind)
    reader.check(allow_empty=True)
    assert ids(reader) == []


def test_each_of_several_inputs_is_checked(tmp_path):
    (tmp_path / "1.txt").write_text(TEXT)
    for content, says in (("", "2.txt holds no ID"), ("x\n", "2.txt: its only line is no ID")):
        (tmp_path / "2.txt").write_text(content)
        assert says in refusal(source(tmp_path / "1.txt", tmp_path / "2.txt"))


@pytest.mark.parametrize(
    ("content", "at_once"),
    [(f"{A}\n", [1]), (f"# x\nbad\n{A}\n", [2, 3]), ("bad\n" * 50 + f"{A}\n", [*range(1, 52)])],
)
def test_a_pipe_is_waited_for_until_its_first_id_and_loses_nothing(content, at_once):
    with piped() as pipe:
        pipe.write(content.encode())
        reader = source()
        reader.check()  # the pipe is still open
        pipe.write(f"{B}\n".encode())
        pipe.close()
        assert [line for _, line, _ in ids(reader)] == [*at_once, at_once[-1] + 1]


def wide(encoding, mark=b""):
    return mark + f"interaction_id\r\n{A}\r\n".encode(encoding)


FOREIGN = [
    (wide("utf-16-le", b"\xff\xfe"), "UTF-16 text. Convert it: `iconv -f UTF-16 -t UTF-8 "),
    (wide("utf-16-be", b"\xfe\xff"), "UTF-16 text."),
    ("\ufeff\u4e2d\u6587\r\n".encode("utf-16-le"), "UTF-16 text."),
    (wide("utf-16-le"), "UTF-16LE text. Convert it: `iconv -f UTF-16LE -t UTF-8 "),
    (wide("utf-16-be"), "UTF-16BE text."),
    (wide("utf-32-le", b"\xff\xfe\0\0"), "UTF-32 text."),
    (wide("utf-32-be", b"\0\0\xfe\xff"), "UTF-32 text."),
    (wide("utf-32-le"), "UTF-32LE text."),
    (wide("utf-32-be"), "UTF-32BE text."),
    (b"PK\x03\x04\x14\0", "a ZIP archive or a spreadsheet"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook"),
    (b"PAR1\x15\x04\x15", "a Parquet file"),
    (b"ARROW1\0\0", "an Arrow or Feather file"),
    (b"Obj\x01\x04\x14", "an Avro file"),
    (b"ORC\n\x03", "an ORC file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x80\x04\x95\x10\0", "a Python pickle"),
    (b"%PDF-1.7\n", "a PDF document"),
    (b"\xfd7zXZ\0\0", "xz data. Undo it: `xz -dc "),
    (b"BZh91AY&SY", "bzip2 data. Undo it: `bzip2 -dc "),
    (b"\x04\x22\x4d\x18d", "lz4 data"),
    (b"\x1f\x9d\x90", "data of compress (.Z)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07\x01", "a RAR archive"),
    (b"ids.txt".ljust(257, b"\0") + b"ustar\x0000".ljust(255, b"\0"), "a tar archive"),
    (gzip.compress(TEXT.encode()), "compressed twice"),
    (zstd.compress(TEXT.encode()), "compressed twice"),
    (b"<!DOCTYPE html>\n<html>", "an HTML page"),
    (b"\n <HTML lang=en><body>", "an HTML page"),
    (b"<!-- x -->\n<html>", "an HTML page"),
    (b'<?xml version="1.0"?>\n', "an XML document"),
    (b"<calls>\n<call/>", "an XML document"),
    (f'["{A}"]'.encode(), "a JSON array, not JSON Lines. Make lines of it: `jq -c '.[]' "),
    (b'[\n  {"interaction_id": "', "a JSON array"),
    (b"[]", "a JSON array"),
    (b'{\n  "interaction_id": "x"', "one JSON document over several lines"),
    (b"\x89PNG\r\n\x1a\n", "an image"),
    (b"RIFF\x24\0\0\0WAVEfmt ", "an audio file"),
    (b"\0" * 4096, "NUL bytes"),
]


@pytest.mark.promise(
    "UTF-16 and UTF-32 with and without a mark, Parquet, Excel, ZIP, HTML, XML, a JSON array and"
    " other formats, in a file or on standard input",
    "recognized by the first bytes: exit code 2 before anything is written, with the command that"
    " converts it",
    group="Input",
)
@pytest.mark.parametrize(("content", "what"), FOREIGN, ids=[what for _, what in FOREIGN])
@pytest.mark.parametrize(
    "kind", [{}, {"column": "id"}, {"field": "id"}], ids=["text", "csv", "jsonl"]
)
def test_a_foreign_format_is_recognized_by_its_first_bytes(tmp_path, content, what, kind):
    path = tmp_path / "ids"
    for data in (content, gzip.compress(content)):
        if content[:2] in (b"\x1f\x8b", b"\x28\xb5") and data is content:
            continue  # that is compressed once
        path.write_bytes(data)
        with pytest.raises(UsageError) as raised:
            check_as("file", path, **kind)
        assert str(raised.value).startswith(f"{path} is {what}")
        with pytest.raises(UsageError, match=r"^<stdin> is ") as raised:
            check_as("standard input", path, **kind)
        assert "<stdin> >" not in str(raised.value)  # a command that can't be typed


@pytest.mark.parametrize(
    "content",
    [f"ORCID,id\n1,{A}\n", f"PAR1,id\n1,{A}\n", f"<x>,id\n1,{A}\n", f"[x],id\n1,{A}\n"],
)
def test_a_header_that_only_resembles_a_foreign_format_is_none(tmp_path, content):
    path = tmp_path / "ids.csv"
    path.write_text(content)
    source(path, column="id").check()


def test_invalid_utf8_at_the_beginning_is_a_line_not_a_format(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_bytes(b"\xff\xfe\n" + TEXT.encode())
    reader = source(path)
    reader.check()
    assert [line for _, line, _ in ids(reader)] == [1, 2]


def test_a_file_that_is_damaged_behind_an_id_passes_the_check(tmp_path):
    path = tmp_path / "ids.gz"
    path.write_bytes(gzip.compress(TEXT.encode())[:-1])
    source(path).check()


@pytest.mark.parametrize(
    "content", [gzip.compress(b"")[:-1], gzip.compress(TEXT.encode())[:12]], ids=["empty", "begun"]
)
def test_a_file_that_is_damaged_before_any_id_is_refused_before_the_run(tmp_path, content):
    path = tmp_path / "ids.gz"
    path.write_bytes(content)
    assert refusal(source(path)).endswith(
        "its gzip data ends too early. No ID stands before that: nothing was begun."
    )


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


@pytest.mark.parametrize(
    "content", [f"{A}\n", f"{A.upper()},x\n", f"id,{A}\n1,2\n", f'{{"{A}":1}}\n']
)
@pytest.mark.parametrize(
    "kind", [{}, {"column": "id"}, {"field": "id"}, {"field": A}, {"column": A}]
)
def test_a_message_about_an_input_with_the_token_does_not_show_it(tmp_path, content, kind):
    path = tmp_path / "ids"
    path.write_text(content)
    rule = IdRule(secrets=Secrets(A))
    for reader in (
        source(path, rule=rule, **kind),
        source(A, rule=rule),
        source(f"x/{A}", rule=rule),
    ):
        assert A not in refusal(reader).lower()


def test_the_check_takes_nothing_away(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text(f"{A}\n{B}\n")
    with as_stdin(os.open(path, os.O_RDONLY)):
        os.lseek(0, len(A) + 1, os.SEEK_SET)
        source().check()
        assert ids(source()) == [("<stdin>", 1, B)]


def test_standard_input_that_is_closed_or_a_directory_is_told_before_the_run(tmp_path):
    with as_stdin(os.open(tmp_path, os.O_RDONLY)):
        assert refusal(source()).startswith("<stdin> is a directory.")
        os.close(0)
        assert refusal(source()).startswith("<stdin> can't be read: Bad file descriptor.")


@pytest.mark.parametrize("names", [("-", "/dev/stdin"), ("/dev/stdin", "-"), ("-", "/dev/fd/0")])
def test_standard_input_under_two_names_is_refused(names):
    reader, writer = os.pipe()
    os.write(writer, TEXT.encode())
    os.close(writer)
    with as_stdin(reader):
        assert "are the same pipe, which can be read only once" in refusal(source(*names))
        assert ids(source("-")) == [("<stdin>", 1, A)]  # nothing was taken from it


def test_a_named_pipe_that_is_named_twice_is_refused_and_not_opened(tmp_path):
    os.mkfifo(tmp_path / "ids")
    (tmp_path / "other").symlink_to(tmp_path / "ids")
    for again in ("ids", "other"):
        names = tmp_path / "ids", tmp_path / again
        assert "are the same pipe, which can be read only once" in refusal(source(*names))


def test_a_file_that_is_named_twice_is_read_twice(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text(TEXT)
    twice = source(path, path)
    twice.check()
    assert ids(twice) == [("ids.txt", 1, A)] * 2


@pytest.mark.parametrize("name", ["ids.txt.gz", "ids.csv.gz", "ids.JSONL.ZST", "ids.gz"])
def test_compressed_data_of_no_bytes_is_damaged_even_if_an_input_may_be_empty(tmp_path, name):
    path = tmp_path / name
    path.touch()
    with pytest.raises(UsageError, match="it is empty, which compressed data never is"):
        source(path).check(allow_empty=True)
    path.write_bytes(gzip.compress(b""))
    source(path).check(allow_empty=True)


# --- during the run ------------------------------------------------------------------------------


def added_to(path):
    with path.open("a") as file:
        file.write(f"{B}\n")


def replaced(path):
    (path.parent / "new").write_text(f"{C}\n")
    (path.parent / "new").replace(path)


@pytest.mark.promise(
    "An input file is emptied, cut, rewritten, replaced or added to while a run reads it",
    "what was read counts; code 4, and its name: the same command asks for what is new",
    group="Input",
)
@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text(""),
        lambda path: os.truncate(path, len(TEXT) * 3_000),
        lambda path: path.write_text(f"{B}\n" * 6_000),
        added_to,
        replaced,
    ],
    ids=["emptied", "cut", "rewritten", "added to", "replaced"],
)
@pytest.mark.parametrize("when", ["before it is opened", "while it is read"])
def test_a_file_that_changes_under_a_run_is_not_read_as_if_it_were_whole(tmp_path, change, when):
    path = tmp_path / "ids.txt"
    path.write_text(TEXT * 6_000)  # several reads
    reading = source(path)
    reading.check()
    blocks = reading.blocks()
    if when == "while it is read":
        next(blocks)
        if change is replaced:  # what was opened is still there
            change(path)
            assert sum(map(len, blocks)) > 1_000
            return
    change(path)
    with pytest.raises(InputBrokenError, match=r"ids\.txt was changed while it was read"):
        list(blocks)


def test_the_same_file_may_be_read_several_times(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_text(TEXT)
    reading = source(path, path)
    reading.check()
    assert len(ids(reading)) == len(ids(reading)) == 2


@pytest.mark.promise(
    "An input file that breaks off (a damaged `.gz`)",
    "what is whole in it is processed; then its name and line are told",
    group="Input",
)
@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_a_truncated_file_gives_its_whole_lines_and_then_its_name_and_where(tmp_path, compress):
    lines = [f"{number:08x}-0000-0000-0000-{number * 7919:012x}" for number in range(1_000)]
    path = tmp_path / "ids.txt"
    path.write_bytes(compress("\n".join(lines).encode())[:-1_000])
    blocks = []
    with pytest.raises(InputBrokenError) as raised:
        blocks.extend(source(path).blocks())
    found = [entry.id for block in blocks for entry in block]
    assert found == lines[: len(found)]
    assert f"{path} can't be read on after line {len(found):,}: its " in str(raised.value)
    assert " data ends too early. " in str(raised.value)


def test_a_file_that_vanished_after_the_check_breaks_the_input_after_those_before(tmp_path):
    (tmp_path / "1.txt").write_text(TEXT)
    blocks = source(tmp_path / "1.txt", tmp_path / "2.txt").blocks()
    assert [entry.id for entry in next(blocks)] == [A]
    with pytest.raises(InputBrokenError, match=r"2.txt can't be opened: No such file"):
        next(blocks)


async def test_a_read_that_fails_is_told_with_the_file_and_the_line(tmp_path):
    with as_stdin(os.open(tmp_path, os.O_RDONLY)):
        with pytest.raises(InputBrokenError, match="<stdin> can't be opened: Is a directory"):
            await anext(source().batches())
        os.dup2(2, 0)
        os.close(0)
        with pytest.raises(InputBrokenError, match=os.strerror(errno.EBADF)):
            await anext(source().batches())


@contextmanager
def piped():
    """Yield the writing end of a pipe whose other end is standard input."""
    end, start = os.pipe()
    with as_stdin(end), os.fdopen(start, "wb", buffering=0) as pipe:
        yield pipe


class Packed:
    """Compresses what is written to a pipe, and lets nothing wait in the compressor."""

    def __init__(self, pipe, compressor, flush):
        self._pipe, self._compressor, self._flush = pipe, compressor, flush

    def write(self, data):
        self._pipe.write(self._compressor.compress(data) + self._compressor.flush(self._flush))

    def close(self):
        self._pipe.write(self._compressor.flush())
        self._pipe.close()


WRITERS = {
    "plain": lambda pipe: pipe,
    "gzip": lambda pipe: Packed(pipe, zlib.compressobj(wbits=31), zlib.Z_SYNC_FLUSH),
    "zstd": lambda pipe: Packed(pipe, zstd.ZstdCompressor(), zstd.ZstdCompressor.FLUSH_BLOCK),
}


@pytest.mark.parametrize("coding", WRITERS)
@pytest.mark.parametrize(
    ("kind", "header", "form"),
    [
        ({}, "# today's\n", "{}\n"),
        ({"column": "id"}, "n;id\n", "1;{}\n"),
        ({"column": "id"}, "n;id\n", '"1";"{}"\n'),
        ({"field": "id"}, "\n", '{{"id":"{}"}}\n'),
    ],
    ids=["text", "csv", "quoted csv", "jsonl"],
)
async def test_an_id_on_a_pipe_is_there_as_soon_as_it_is_written(kind, header, form, coding):
    with piped() as pipe:
        writer = WRITERS[coding](pipe)
        writer.write(header.encode())
        async with aclosing(source("-", **kind).batches()) as batches, asyncio.timeout(PATIENCE_S):
            for interaction_id in (A, B, C):
                writer.write(form.format(interaction_id).encode())
                item = IgnoredLine.BLANK
                while isinstance(item, IgnoredLine):
                    item = (await anext(batches))[-1]
                assert (item.id, item.source) == (interaction_id, "<stdin>")
            writer.close()
            assert await anext(batches, None) is None


async def test_standard_input_may_be_non_blocking():
    with piped() as pipe:
        os.set_blocking(0, False)
        async with aclosing(source().batches()) as batches, asyncio.timeout(PATIENCE_S):
            coming = asyncio.create_task(anext(batches))
            for _ in range(100):
                await asyncio.sleep(0)
            pipe.write(TEXT.encode())
            assert [entry.id for entry in await coming] == [A]
            pipe.close()
            assert await anext(batches, None) is None


def test_a_named_pipe_is_read_like_a_file(tmp_path):
    path = tmp_path / "ids.csv"
    os.mkfifo(path)
    reader = source(path)
    writer = threading.Thread(target=path.write_text, args=(CSV,))
    writer.start()
    reader.check()
    assert ids(reader) == [("ids.csv", 2, A)]
    writer.join(PATIENCE_S)


COMMAND = """
import asyncio, sys
from contextlib import aclosing
from cxai.core.entry import IdRule
from cxai.sources.file import FileSource

async def first():
    async with aclosing(FileSource(sys.argv[1:], IdRule()).batches()) as batches:
        print((await anext(batches))[0].id, flush=True)

asyncio.run(first())
"""


@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
def test_a_read_that_nobody_answers_does_not_keep_the_process_from_exiting(path):
    with subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", COMMAND, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(TEXT.encode())
        process.stdin.flush()
        # Standard input stays open: the process leaves while its thread waits for more.
        assert process.wait(PATIENCE_S) == 0
        assert process.stdout.read().decode() == TEXT
        assert process.stderr.read() == b""
