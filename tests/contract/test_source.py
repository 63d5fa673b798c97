"""What every source promises, over its adapters and over a list in memory."""

import asyncio
import gzip
import os
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress

import orjson
import pytest
from backports import zstd

from cxai.core.entry import IdRule, Item, Skip
from cxai.core.ports import Source
from cxai.errors import InputBrokenError
from cxai.sources.file import FileSource

RULE = IdRule()
A = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
B = "9b2d8f0e-1c1a-4b52-8f4e-6f5d3c2b1a00"


class ListSource:
    """IDs from a list in memory, each as if it were a line."""

    def __init__(self, ids: Sequence[str], *, broken: bool = False) -> None:
        self._ids = ids
        self._broken = broken

    async def batches(self) -> AsyncIterator[Sequence[Item]]:
        for start in range(0, len(self._ids), 10):
            yield [
                RULE.read(text.encode(), "list", start + number) if text.strip() else Skip.BLANK
                for number, text in enumerate(self._ids[start : start + 10], 1)
            ]
        if self._broken:
            raise InputBrokenError("list can't be read on.")


def text(ids):
    return "".join(f"{text}\n" for text in ids).encode()


def table(ids):
    return b"interaction_id\n" + text(ids)


def json_lines(ids):
    return b"".join(
        (orjson.dumps({"interaction_id": text}) if text.strip() else b"") + b"\n" for text in ids
    )


def in_file(name, content, compress=bytes):
    """Return what makes a source of IDs by a file, whole or cut off."""

    def make(ids, tmp_path, *, broken=False):
        data = compress(content(ids))
        (tmp_path / name).write_bytes(data[:-5] if broken else data)
        return FileSource([str(tmp_path / name)], RULE)

    return make


def in_list(ids, _tmp_path, *, broken=False):
    return ListSource(ids, broken=broken)


def in_pipe(ids, tmp_path, *, broken=False):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    data = gzip.compress(text(ids))

    def write():
        with suppress(BrokenPipeError):  # the reader may leave early
            path.write_bytes(data[:-5] if broken else data)

    threading.Thread(target=write, daemon=True).start()
    return FileSource([str(path)], RULE)


WHOLE = {
    "text": in_file("ids.txt", text),
    "csv": in_file("ids.csv", table),
    "jsonl": in_file("ids.jsonl", json_lines),
}
BREAKABLE = {
    "gzip": in_file("ids.txt.gz", text, gzip.compress),
    "zstd": in_file("ids.csv.zst", table, zstd.compress),
    "gzipped jsonl": in_file("ids.jsonl.gz", json_lines, gzip.compress),
    "pipe": in_pipe,
    "list": in_list,
}


@pytest.fixture(params=[*WHOLE, *BREAKABLE])
def source_of(request, tmp_path):
    make = (WHOLE | BREAKABLE)[request.param]
    return lambda ids: make(ids, tmp_path)


@pytest.fixture(params=BREAKABLE)
def broken_source_of(request, tmp_path):
    return lambda ids: BREAKABLE[request.param](ids, tmp_path, broken=True)


def guids(count):
    return [f"{number:08x}-4f89-11d3-9a0c-0305e82c3301" for number in range(count)]


async def items_of(source: Source):
    return [item async for batch in source.batches() for item in batch]


async def test_every_id_comes_once_and_in_order(source_of):
    assert [entry.id for entry in await items_of(source_of(guids(5_000)))] == guids(5_000)


async def test_an_empty_input_has_no_items(source_of):
    assert await items_of(source_of([])) == []


async def test_duplicates_blanks_and_refused_lines_pass_each_as_an_item(source_of):
    first, again, blank, refused, last = await items_of(source_of([A, A.upper(), "", "..", B]))
    assert first.key == again.key
    assert blank is Skip.BLANK
    assert (refused.id, refused.invalid.kind) == ("..", "is not a GUID")
    assert last.id == B
    assert first.line < again.line < refused.line < last.line


async def test_the_whole_input_never_comes_at_once(source_of):
    sizes = [len(batch) async for batch in source_of(guids(5_000)).batches()]
    assert sum(sizes) == 5_000
    assert min(sizes) > 0
    assert max(sizes) <= 512


async def test_a_consumer_may_leave_early(source_of):
    async with aclosing(source_of(guids(20_000)).batches()) as batches:
        assert (await anext(batches))[0].id == guids(1)[0]
    assert "source" not in [thread.name for thread in threading.enumerate()]


async def test_a_consumer_may_be_cancelled(source_of):
    taken = []

    async def consume():
        async for batch in source_of(guids(20_000)).batches():
            taken.append(batch)
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(consume())
    assert len(taken) == 1


async def test_an_input_that_breaks_gives_the_items_before_and_then_says_so(broken_source_of):
    taken = []

    async def consume():
        async for batch in broken_source_of(guids(3_000)).batches():
            taken.extend(batch)

    with pytest.raises(InputBrokenError, match="can't be read on"):
        await consume()
    assert [entry.id for entry in taken] == guids(3_000)[: len(taken)]
