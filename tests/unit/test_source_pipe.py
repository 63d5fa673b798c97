"""Pipes and standard input."""

import asyncio
import os
import subprocess
import sys
import threading
import zlib
from contextlib import aclosing

import pytest
from backports import zstd
from support.inputs import CSV, TEXT, A, B, C, as_stdin, ids, piped, refusal, source
from support.waiting import PATIENCE_S

from cxai.core.entry import IgnoredLine

pytestmark = pytest.mark.usefixtures("nothing_left_open")


class Packed:
    """Compresses what is written to a pipe and flushes it immediately."""

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
async def test_an_id_on_a_pipe_is_yielded_as_soon_as_it_is_written(kind, header, form, coding):
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


def test_standard_input_that_is_closed_or_a_directory_is_refused_before_the_run(tmp_path):
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


def test_a_named_pipe_given_twice_is_refused_and_not_opened(tmp_path):
    os.mkfifo(tmp_path / "ids")
    (tmp_path / "other").symlink_to(tmp_path / "ids")
    for again in ("ids", "other"):
        names = tmp_path / "ids", tmp_path / again
        assert "are the same pipe, which can be read only once" in refusal(source(*names))


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
def test_a_blocked_read_does_not_keep_the_process_from_exiting(path):
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
