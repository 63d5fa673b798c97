"""What every source promises, over its adapters and over its doubles in memory."""

import asyncio
import gzip
import os
import threading
from contextlib import aclosing, suppress

import orjson
import pytest
from backports import zstd
from support.doubles import ListSource, QueueSource

from cxai.core.entry import IdRule, Skip
from cxai.core.ports import Source
from cxai.errors import InputBrokenError
from cxai.sources.file import FileSource

RULE = IdRule()
BROKEN = InputBrokenError("The list can't be read on.")
A = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
B = "9b2d8f0e-1c1a-4b52-8f4e-6f5d3c2b1a00"


def items_of(ids):
    """Return the items of an input with one of these a line."""
    return [
        RULE.read(text.encode(), "list", line) if text.strip() else Skip.BLANK
        for line, text in enumerate(ids, 1)
    ]


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
    items = items_of(ids)
    blocks = [items[start : start + 10] for start in range(0, len(items), 10)]
    return ListSource(blocks, breaks=BROKEN if broken else None)


def in_queue(ids, _tmp_path, *, broken=False):
    return QueueSource(items_of(ids), breaks=BROKEN if broken else None)


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
    "queue": in_queue,
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


async def taken_from(source: Source):
    return [item async for batch in source.batches() for item in batch]


async def test_every_id_comes_once_and_in_order(source_of):
    assert [entry.id for entry in await taken_from(source_of(guids(5_000)))] == guids(5_000)


async def test_an_empty_input_has_no_items(source_of):
    assert await taken_from(source_of([])) == []


async def test_duplicates_blanks_and_refused_lines_pass_each_as_an_item(source_of):
    first, again, blank, refused, last = await taken_from(source_of([A, A.upper(), "", "..", B]))
    assert first.key == again.key
    assert blank is Skip.BLANK or blank.invalid  # a message without a text is a mistake
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


async def test_a_source_says_whether_it_lets_go_of_what_is_acknowledged(source_of):
    source = source_of([A, B])
    assert source.is_queue in {True, False}
    assert len(await taken_from(source)) == 2


async def test_entries_are_told_apart_by_source_and_line(source_of):
    entries = await taken_from(source_of([A, B, A]))
    assert len({(entry.source, entry.line) for entry in entries}) == 3


async def test_each_batch_is_acknowledged_before_the_next_is_asked_for(source_of):
    source, taken = source_of(guids(1_000)), []
    async for batch in source.batches():
        await source.acknowledge(batch)
        taken.extend(batch)
    assert [entry.id for entry in taken] == guids(1_000)


async def test_a_batch_without_entries_is_acknowledged_too(source_of):
    await source_of([A]).acknowledge([])


async def test_a_file_keeps_its_lines_and_a_queue_what_is_not_acknowledged(tmp_path):
    for make, left in ((WHOLE["text"], [A, B]), (in_queue, [B])):
        source = make([A, B], tmp_path)
        first, _ = await taken_from(source)
        await source.acknowledge([first])
        assert [entry.id for entry in await taken_from(source)] == left
        assert source.is_queue is (left == [B])
