"""The contract of every object store, and of the double in memory."""

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from support.memory_objects import MemoryObjects
from support.moto_server import ANY_CREDENTIALS

from cxai.objects.port import TakenError
from cxai.objects.registry import open_store

CONTENT = b'{"id":1}\n'
SHA256 = hashlib.sha256(CONTENT).digest()
PENDING = "_pending/7-1-records"
FINAL = "records/records-000000001.jsonl"


@pytest.fixture(params=["volume", "s3", "memory"])
def another(request, tmp_path, monkeypatch):
    """Return what opens one more store of the same place."""
    match request.param:
        case "volume":
            return lambda: open_store(str(tmp_path / "a" / "place"))
        case "s3":
            endpoint = request.getfixturevalue("moto")
            for name, value in {**ANY_CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}.items():
                monkeypatch.setenv(name, value)
            bucket = request.getfixturevalue("bucket")
            return lambda: open_store(f"s3://{bucket}/exports/dt=2026-01-01, night (1)")
        case _:
            objects = {}
            return lambda: MemoryObjects(objects)


@pytest.fixture
async def store(another):
    store = another()
    await store.prepare()
    yield store
    await store.close()


async def content(store, name):
    return b"".join([chunk async for chunk in store.read(name)])


async def names(store, prefix, after=""):
    return [found.name async for found in store.names(prefix, after)]


@pytest.mark.parametrize("size", [0, 1, 3_000_001])
async def test_what_was_written_is_read_back(store, size):
    data = Random(size).randbytes(size)
    await store.put_new(PENDING, data)
    assert await content(store, PENDING) == data


async def test_an_object_of_the_same_content_is_left_as_it_is(store, another):
    await store.put_new(FINAL, CONTENT)
    [before] = [found async for found in store.names("records")]
    await another().put_new(FINAL, CONTENT)
    assert [found async for found in store.names("records")] == [before]


@pytest.mark.parametrize("other", [b"", CONTENT[:-1], CONTENT.swapcase(), CONTENT * 2])
async def test_an_object_of_different_content_is_never_overwritten(store, other):
    await store.put_new(FINAL, CONTENT)
    with pytest.raises(TakenError, match="with different content"):
        await store.put_new(FINAL, other)
    assert await content(store, FINAL) == CONTENT


async def test_a_published_object_has_only_its_final_name(store):
    await store.put_new(PENDING, CONTENT)
    await store.publish(PENDING, FINAL, SHA256)
    assert await content(store, FINAL) == CONTENT
    assert await names(store, "_pending") == []
    assert await names(store, "records") == [FINAL]


async def test_publishing_again_completes_and_changes_nothing(store, another):
    await store.put_new(PENDING, CONTENT)
    await store.publish(PENDING, FINAL, SHA256)
    await another().publish(PENDING, FINAL, SHA256)
    assert await content(store, FINAL) == CONTENT


async def test_two_concurrent_calls_that_publish_one_object_both_succeed(store, another):
    other = another()
    for turn in range(5):
        pending, final = f"{PENDING}-{turn}", f"{FINAL}-{turn}"
        await store.put_new(pending, CONTENT)
        await asyncio.gather(*(one.publish(pending, final, SHA256) for one in (store, other)))
        assert await content(store, final) == CONTENT
    assert await names(store, "_pending") == []


async def test_a_copy_without_a_delete_by_a_killed_process_is_completed(store):
    await store.put_new(PENDING, CONTENT)
    await store.put_new(FINAL, CONTENT)
    await store.publish(PENDING, FINAL, SHA256)
    assert await names(store, "_pending") == []
    assert await content(store, FINAL) == CONTENT


async def test_publishing_over_different_content_is_refused_and_loses_neither(store):
    await store.put_new(PENDING, CONTENT)
    await store.put_new(FINAL, b"another")
    with pytest.raises(TakenError, match="with different content"):
        await store.publish(PENDING, FINAL, SHA256)
    assert await content(store, PENDING) == CONTENT
    assert await content(store, FINAL) == b"another"


async def test_publishing_a_missing_object_is_refused(store):
    with pytest.raises(TakenError, match=FINAL):
        await store.publish(PENDING, FINAL, SHA256)
    assert await names(store, "records") == []


async def test_publishing_a_missing_object_over_different_content_is_refused(store):
    await store.put_new(FINAL, b"another")
    with pytest.raises(TakenError, match=FINAL):
        await store.publish(PENDING, FINAL, SHA256)


async def test_only_replace_changes_an_object(store):
    for data in (b"{}", b'{"parts":[]}', b""):
        await store.replace("manifest.json", data)
        assert await content(store, "manifest.json") == data


async def test_objects_are_listed_in_order_with_their_times(store):
    begun = datetime.now(UTC)
    for number in (3, 1, 2):
        await store.put_new(f"records/{number}", b"x" * number)
    listed = [found async for found in store.names("records")]
    assert [found.name for found in listed] == ["records/1", "records/2", "records/3"]
    for found in listed:
        assert abs(found.written_at - begun) < timedelta(minutes=1)


async def test_listing_starts_after_a_name(store):
    for number in range(4):
        await store.put_new(f"records/{number}", b"")
    assert await names(store, "records", after="records/1") == ["records/2", "records/3"]
    assert await names(store, "records", after="records/3") == []
    assert await names(store, "records", after="records/00") == [
        "records/1", "records/2", "records/3",
    ]  # fmt: skip


async def test_a_prefix_is_a_whole_directory_and_includes_deeper_ones(store):
    for name in ("records/b", "records/a/1", "records/a-b/1", "records2/c", "record"):
        await store.put_new(name, b"")
    assert await names(store, "records") == ["records/a-b/1", "records/a/1", "records/b"]
    assert await names(store, "nothing") == []
    assert await names(store, "records/nothing") == []


async def test_reading_a_missing_object_raises_file_not_found(store):
    for name in (FINAL, "nothing/at/all"):
        with pytest.raises(FileNotFoundError):
            await content(store, name)


async def test_reading_may_stop_early_even_after_the_store_was_closed(another):
    store = another()
    await store.prepare()
    await store.put_new(FINAL, bytes(3_000_000))
    before, after = store.read(FINAL), store.read(FINAL)
    for reader in (before, after):
        assert await anext(reader)
    await before.aclose()
    await store.close()
    await after.aclose()


async def test_deleting_may_be_repeated(store):
    await store.put_new(FINAL, CONTENT)
    for _ in range(2):
        await store.delete(FINAL)
    await store.delete("nothing/at/all")
    assert await names(store, "records") == []


async def test_the_check_leaves_nothing_behind_and_may_be_repeated(store, another):
    for one in (store, another()):
        await one.check()
    await another().prepare()
    assert await names(store, "_pending") == []


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\nb", "a\0"])
async def test_a_name_outside_the_store_is_an_error_of_the_caller(store, name):
    with pytest.raises(ValueError, match="is not a valid object name"):
        await store.put_new(name, CONTENT)
