import asyncio
import errno
import gzip
import os
import subprocess
import sys
import threading
import zlib
from contextlib import aclosing, contextmanager
from pathlib import Path

import pytest
from backports import zstd

from worker.domain.entry import IdRule, Skip
from worker.errors import InputBrokenError, UsageError
from worker.sources.file import FileSource

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
        (Path(entry.source).name, entry.line, entry.invalid or entry.id)
        for block in file_source.blocks()
        for entry in block
        if not isinstance(entry, Skip)
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
        f"{path} has no column 'interaction_id'; its header row is 'n', 'id'."
        " Name the column that holds the IDs with --column."
    )
    source(path, column="n", rule=IdRule("1")).check()


def test_a_file_that_holds_no_id_at_all_is_questioned_before_the_run(tmp_path):
    path = tmp_path / "calls.txt"
    path.write_text("id,agent\n" * 99)
    source(path).check()
    path.write_text("id,agent\n" * 100)
    assert refusal(source(path)) == (
        f"{path}: not one of the first 100 lines is an ID; line 1, 'id,agent', is not a GUID."
        " CSV needs --column, JSON Lines --field, other IDs --id-pattern."
    )


@pytest.mark.parametrize(
    ("beginning", "what"),
    [
        (TEXT.encode("utf-16"), "UTF-16 text"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "UTF-16 text"),
        (b"PK\x03\x04\x14\0", "a ZIP archive or a spreadsheet"),
        (b"\xfd7zXZ\0\0", "xz data"),
        (b"BZh91AY&SY", "bzip2 data"),
    ],
)
def test_what_is_often_taken_for_a_list_of_ids_is_named_before_the_run(tmp_path, beginning, what):
    path = tmp_path / "ids.txt"
    for content in (beginning, gzip.compress(beginning)):
        path.write_bytes(content)
        assert refusal(source(path)).startswith(f"{path} is {what}. Give text, CSV or JSON Lines")


def test_invalid_utf8_at_the_beginning_is_a_line_not_a_format(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_bytes(b"\xff\xfe\n" + TEXT.encode())
    reader = source(path)
    reader.check()
    assert ids(reader) == [("ids.txt", 1, "is not a GUID"), ("ids.txt", 2, A)]


def test_a_damaged_file_passes_the_check_so_that_what_is_whole_in_it_is_processed(tmp_path):
    path = tmp_path / "ids.gz"
    path.write_bytes(gzip.compress(TEXT.encode())[:-1])
    source(path).check()


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


# --- during the run ------------------------------------------------------------------------------


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
                item = Skip.BLANK
                while isinstance(item, Skip):
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
    reader.check()
    writer = threading.Thread(target=path.write_text, args=(CSV,))
    writer.start()
    assert ids(reader) == [("ids.csv", 2, A)]
    writer.join(PATIENCE_S)


COMMAND = """
import asyncio, sys
from contextlib import aclosing
from worker.domain.entry import IdRule
from worker.sources.file import FileSource

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
