"""The manifest of a cluster's export: what is published, written by whichever worker ends last."""

import hashlib
from dataclasses import replace

import orjson
import pytest
from support.cluster import FORM, memory_worker, outcome
from support.doubles import entries
from support.memory_objects import Fault

from cxai.cluster.manifest import Manifest
from cxai.cluster.view import logged_objects
from cxai.output.compression import Compression
from cxai.policy.verdict import Verdict

STORED_FORM = {
    "resource": "cx_ai",
    "schema_version": 2,
    "shape": "nested",
    "compression": "gzip",
    "base_url": "https://api.elevateai.com",
    "bands": "[agent]\n",
    "bands_digest": "1234",
    "bands_name": "ours",
    "destination": "s3://bucket/nightly",
}


@pytest.fixture
def start(engine, store):
    """Return what starts a registered worker, with `manifest` beside what it has."""

    async def worker(name="w"):
        started = await memory_worker(engine, store, name)
        started.manifest = Manifest(
            started.books, started.store, STORED_FORM, FORM.sets, Compression.GZIP
        )
        return started

    return worker


async def commit(worker, *verdicts):
    block = await worker.take()
    done = [outcome(entry, verdict) for entry, verdict in zip(block, verdicts, strict=True)]
    await worker.ledger.commit(done)


def manifest_in(store):
    return orjson.loads(store.objects["manifest.json"][0])


async def test_it_has_the_form_the_verdicts_and_each_published_object(engine, store, start):
    engine.feed(entries("a", "b", "a"))
    worker = await start()
    await commit(worker, Verdict.OK, Verdict.NOT_FOUND)
    await worker.manifest.write()
    content = manifest_in(store)
    assert content["written_by"].startswith("cxai-worker ")
    assert content["export"]["shape"] == "nested"
    assert content["sets"] == ["records", "failures"]
    assert content["verdicts"] == {"not_found": 1, "ok": 1}
    assert content["last_run"] == {
        "settled": True,
        "lines": 3,
        "duplicates": 1,
        "ids": 2,
        "open": 0,
        "last_object": 1,
    }
    assert [part["set"] for part in content["parts"]] == ["failures", "records"]
    for part in content["parts"]:
        data, _ = store.objects[part["file"]]
        assert (part["bytes"], part["records"]) == (len(data), 1)
        assert part["sha256"] == hashlib.sha256(data).hexdigest()


async def test_it_has_the_shape_of_the_manifest_of_one_machine(engine, store, start):
    engine.feed(entries("a"))
    worker = await start()
    await commit(worker, Verdict.OK)
    await worker.manifest.write()
    content = manifest_in(store)
    of_one_machine = {"written_by", "parts", "released_parts", "verdicts", "last_run"}
    assert of_one_machine <= content.keys()
    assert {"file", "set", "bytes", "records", "sha256"} <= content["parts"][0].keys()


async def test_it_has_neither_its_destination_nor_the_text_of_score_ranges(store, start):
    await (await start()).manifest.write()
    assert {"destination", "bands"}.isdisjoint(manifest_in(store)["export"])


async def test_it_lists_published_objects_only(engine, store, start):
    engine.feed(entries("a"))
    worker = await start()
    store.faults.append(Fault("publish"))
    await commit(worker, Verdict.OK)
    await worker.manifest.write()
    assert (manifest_in(store)["parts"], manifest_in(store)["last_run"]["settled"]) == ([], False)


async def test_an_export_without_an_object_has_an_empty_one(store, start):
    await (await start()).manifest.write()
    assert manifest_in(store)["parts"] == []


async def test_a_long_log_is_read_page_by_page_up_to_a_number(engine, start):
    engine.feed(entries("a"))
    worker = await start()
    await commit(worker, Verdict.OK)
    (row,) = engine.objects.values()
    for number in range(1, 2_501):
        for part_set in ("records", "failures"):
            engine.objects[number, part_set] = replace(row, number=number, set=part_set)
    found = [(row.number, row.set) async for row in logged_objects(worker.books, 2_200)]
    sets = ("failures", "records")
    assert found == [(number, one) for number in range(1, 2_201) for one in sets]


async def test_the_slowest_of_several_writers_does_not_leave_an_old_one(engine, store, start):
    engine.feed(entries("a", "b"), block_of=1)
    slow, other = await start("slow"), await start("other")
    await commit(slow, Verdict.OK)
    write = store.replace

    async def after_the_other(name, data):
        store.replace = write
        await commit(other, Verdict.OK)
        await other.manifest.write()
        await write(name, data)

    store.replace = after_the_other
    await slow.manifest.write()
    assert len(manifest_in(store)["parts"]) == 2
    assert manifest_in(store)["last_run"]["settled"]


async def test_an_endless_worker_writes_it_once_each_time_that_all_is_settled(engine, store, start):
    engine.feed(entries("a", "b"), block_of=1)
    worker = await start()
    await commit(worker, Verdict.OK)
    assert not await worker.manifest.refresh()
    await commit(worker, Verdict.OK)
    assert await worker.manifest.refresh()
    assert not await worker.manifest.refresh()
    engine.feed(entries("a", "b", "c"))
    assert not await worker.manifest.refresh()
    await commit(worker, Verdict.OK)
    assert await worker.manifest.refresh()
    assert len(manifest_in(store)["parts"]) == 3
