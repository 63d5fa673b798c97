"""The contract of every source, for its adapters and its in-memory doubles."""

import asyncio
import gzip
import os
import threading
import uuid
from contextlib import aclosing, suppress
from functools import partial

import orjson
import pytest
from backports import zstd
from support.defaults import source_options
from support.doubles import ListSource, QueueSource
from support.sqs import SqsServer

from cxai.core.entry import Entry, IdRule, IgnoredLine
from cxai.core.ports import Source
from cxai.errors import InputBrokenError
from cxai.sources.file import FileSource
from cxai.sources.registry import open_source

pytestmark = pytest.mark.long(20)

RULE = IdRule()
BROKEN = InputBrokenError("The list can't be read.")
A = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
B = "9b2d8f0e-1c1a-4b52-8f4e-6f5d3c2b1a00"


def items_of(ids):
    """Return the items of an input with one of these per line."""
    return [
        RULE.read(text.encode(), "list", line) if text.strip() else IgnoredLine.BLANK
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
    """Return a function that makes a file source of IDs, whole or truncated."""

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
        with suppress(BrokenPipeError, FileNotFoundError):  # the reader may leave, or never come
            path.write_bytes(data[:-5] if broken else data)

    threading.Thread(target=write, daemon=True).start()
    return FileSource([str(path)], RULE)


async def in_redis(server, ids, _tmp_path, *, broken=False):
    name = f"ids-{uuid.uuid4().hex}"
    server.send(name, *ids)
    source = open_source([server.url(name)], source_options(RULE, until_idle_s=0.05))
    if broken:
        await source.__aenter__()
        server("XGROUP", "DESTROY", name, "cxai")
    return source


async def in_sqs(endpoint, ids, _tmp_path, *, broken=False):
    server = SqsServer(endpoint)
    url = server.queue()
    server.send(url, *(text or " " for text in ids))  # SQS takes no empty message
    source = open_source([server.name_of(url)], source_options(RULE, until_idle_s=0.05))
    if broken:
        await source.__aenter__()
        server.delete(url)
    return source


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
SERVED = {"redis": ("shared_redis", in_redis), "sqs": ("moto", in_sqs)}


class Made:
    """Makes sources of one kind and closes them. `many` is a large number of IDs for it."""

    def __init__(self, request, tmp_path, monkeypatch):
        self.many = 40 if request.param == "sqs" else 5_000
        self._tmp_path = tmp_path
        self._sources = []
        if request.param == "sqs":
            for name, value in SqsServer(request.getfixturevalue("moto")).environment.items():
                monkeypatch.setenv(name, value)
        if request.param in SERVED:
            server, make = SERVED[request.param]
            self._make = partial(make, request.getfixturevalue(server))
        else:
            self._make = (WHOLE | BREAKABLE)[request.param]

    async def __call__(self, ids, **how):
        source = self._make(ids, self._tmp_path, **how)
        if asyncio.iscoroutine(source):
            source = await source
            self._sources.append(source)
        return source

    async def close(self):
        for source in self._sources:
            await source.__aexit__(None, None, None)


@pytest.fixture(params=[*WHOLE, *BREAKABLE, *SERVED])
async def source_of(request, tmp_path, monkeypatch):
    made = Made(request, tmp_path, monkeypatch)
    yield made
    await made.close()


@pytest.fixture(params=[*BREAKABLE, *SERVED])
async def broken_source_of(request, tmp_path, monkeypatch):
    made = Made(request, tmp_path, monkeypatch)
    yield partial(made, broken=True)
    await made.close()


def guids(count):
    return [f"{number:08x}-4f89-11d3-9a0c-0305e82c3301" for number in range(count)]


async def taken_from(source: Source):
    taken = []
    async for batch in source.batches():
        taken += batch
        await source.acknowledge([item for item in batch if isinstance(item, Entry)])
    return taken


async def test_every_id_comes_once_and_in_order(source_of):
    ids = guids(source_of.many)
    assert [entry.id for entry in await taken_from(await source_of(ids))] == ids


async def test_an_empty_input_has_no_items(source_of):
    assert await taken_from(await source_of([])) == []


async def test_duplicates_blanks_and_rejected_lines_are_items(source_of):
    source = await source_of([A, A.upper(), "", "..", B])
    first, again, blank, refused, last = await taken_from(source)
    assert first.key == again.key
    assert blank is IgnoredLine.BLANK or blank.invalid  # a message without text is invalid
    assert (refused.id, refused.invalid.kind) == ("..", "is not a GUID")
    assert last.id == B
    if first.source == last.source:  # each message of a queue has its own source
        assert first.line < again.line < refused.line < last.line


async def test_the_whole_input_never_comes_at_once(source_of):
    source, sizes = await source_of(guids(source_of.many)), []
    async for batch in source.batches():
        sizes.append(len(batch))
        await source.acknowledge(batch)
    assert sum(sizes) == source_of.many
    assert min(sizes) > 0
    assert max(sizes) <= 512


async def test_a_consumer_may_leave_early(source_of):
    source = await source_of(guids(4 * source_of.many))
    async with aclosing(source.batches()) as batches:
        assert (await anext(batches))[0].id == guids(1)[0]
    assert "source" not in [thread.name for thread in threading.enumerate()]


async def test_a_consumer_may_be_cancelled(source_of):
    source, taken = await source_of(guids(4 * source_of.many)), []

    async def consume():
        async for batch in source.batches():
            taken.append(batch)
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(consume())
    assert len(taken) == 1


async def test_a_broken_input_yields_the_items_before_the_damage_and_then_fails(broken_source_of):
    source, taken = await broken_source_of(guids(300)), []

    async def consume():
        async for batch in source.batches():
            taken.extend(batch)
            await source.acknowledge(batch)

    with pytest.raises(InputBrokenError, match="can't be read"):
        await consume()
    assert [entry.id for entry in taken] == guids(300)[: len(taken)]


async def test_a_source_is_a_queue_or_not(source_of):
    source = await source_of([A, B])
    assert source.is_queue in {True, False}
    assert len(await taken_from(source)) == 2


async def test_entries_are_distinguished_by_source_and_line(source_of):
    entries = await taken_from(await source_of([A, B, A]))
    assert len({(entry.source, entry.line) for entry in entries}) == 3


async def test_each_batch_may_be_acknowledged_before_the_next_is_read(source_of):
    source, taken = await source_of(ids := guids(source_of.many // 5)), []
    async for batch in source.batches():
        await source.acknowledge(batch)
        taken.extend(batch)
    assert [entry.id for entry in taken] == ids


async def test_an_empty_batch_may_be_acknowledged(source_of):
    source = await source_of([A])
    await source.acknowledge([])


async def test_a_file_keeps_all_lines_and_a_queue_the_unacknowledged_ones(tmp_path):
    for make, left in ((WHOLE["text"], [A, B]), (in_queue, [B])):
        source = make([A, B], tmp_path)
        first, _ = [entry async for batch in source.batches() for entry in batch]
        await source.acknowledge([first])
        assert [entry.id for entry in await taken_from(source)] == left
        assert source.is_queue is (left == [B])
