"""Verifying a cluster's export: damage is named by object, and nothing incomplete is green."""

import gzip

import orjson
import pytest
from support.cluster import FORM, memory_worker, outcome
from support.doubles import ListSource, entries, invalid
from support.memory_books import Engine
from support.memory_objects import Fault, MemoryObjects

from cxai.cluster.engine_errors import EngineDownError
from cxai.cluster.manifest import Manifest
from cxai.cluster.verify import verify_cluster
from cxai.core.entry import Outcome
from cxai.errors import BlockedError, ExitCode
from cxai.ledger.form import ExportForm
from cxai.output.compression import Compression
from cxai.policy.verdict import Verdict
from cxai.resources.cx_ai.layout import LAYOUT
from cxai.resources.options import Shape

RECORDS = "records/records-000000001.jsonl.gz"
FAILURES = "failures/failures-000000001.jsonl.gz"
STORED_FORM = {"resource": "cx_ai", "shape": "nested", "compression": "gzip"}


class Export:
    """An export with two objects of records and one of failures: a, b, d are ok, c is not found."""

    def __init__(self):
        self.engine, self.store = Engine(), MemoryObjects()

    async def start(self):
        return await memory_worker(self.engine, self.store)

    async def fill(self):
        self.engine.feed(entries("a", "b", "c", "d"), block_of=3)
        worker = await self.start()
        a, b, c = await worker.take()
        await worker.ledger.commit([outcome(a), outcome(b), outcome(c, Verdict.NOT_FOUND)])
        (d,) = await worker.take()
        await worker.ledger.commit([outcome(d)])
        await self.write_manifest(worker)
        return worker

    async def write_manifest(self, worker):
        await Manifest(worker.books, self.store, STORED_FORM, FORM.sets, Compression.GZIP).write()

    async def verify(self, expected=None):
        worker = await self.start()
        return await verify_cluster(worker.books, self.store, FORM, expected)

    def put(self, name, content):
        """Put bytes in place of an object, as nothing of ours would."""
        _, written_at = self.store.objects[RECORDS]
        self.store.objects[name] = content, written_at

    def rows(self, name):
        return [*map(orjson.loads, gzip.decompress(self.store.objects[name][0]).splitlines())]

    def forge(self, name, rows):
        """Put rows in place of those of an object, in the store and in the log alike."""
        content = gzip.compress(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        self.put(name, content)


@pytest.fixture
async def export():
    filled = Export()
    await filled.fill()
    return filled


def assert_damaged(findings, *what):
    assert findings.exit_code is ExitCode.INTEGRITY
    text = findings.text()
    assert "is DAMAGED" in text
    for words in what:
        assert words in text


def assert_incomplete(findings, *what):
    assert findings.problems == []
    assert findings.exit_code is ExitCode.STOPPED
    for words in what:
        assert words in findings.text()


# --- intact ---


async def test_an_unchanged_export_is_intact(export):
    findings = await export.verify()
    assert findings.exit_code is ExitCode.FINISHED
    assert findings.text().startswith("memory is intact: 4 lines in 3 parts, ")
    assert findings.as_dict()["directory"] == "memory"


async def test_an_id_that_was_retried_has_a_line_of_each_verdict_and_is_intact(export):
    export.engine.feed(entries("e"))
    worker = await export.start()
    (e,) = await worker.take()
    await worker.ledger.commit([outcome(e, Verdict.EXHAUSTED)])
    export.engine.queue_again(e)
    assert_incomplete(await export.verify(), "1 ID has no verdict yet")
    await worker.take()
    await worker.ledger.commit([outcome(e)])
    await export.write_manifest(worker)
    assert (await export.verify()).exit_code is ExitCode.FINISHED


async def test_lines_without_an_id_are_counted_and_not_looked_up(export):
    export.engine.feed(invalid("x", "y"))
    worker = await export.start()
    done = [outcome(entry, Verdict.INVALID_ID) for entry in await worker.take()]
    await worker.ledger.commit(done)
    await export.write_manifest(worker)
    assert (await export.verify()).exit_code is ExitCode.FINISHED
    export.put("failures/failures-000000003.jsonl.gz", gzip.compress(b""))
    assert_damaged(await export.verify(), "invalid lines of the input are missing")


# --- damage, by object ---


async def test_a_missing_object_is_named(export):
    del export.store.objects[RECORDS]
    assert_damaged(
        await export.verify(),
        f"{RECORDS}: is missing.",
        "3 IDs have the verdict ok, but 1 have a record.",
        "Restore these objects",
    )


async def test_a_flipped_byte_is_found_wherever_it_is(export):
    content, _ = export.store.objects[RECORDS]
    for at in range(len(content)):
        export.put(RECORDS, content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert_damaged(await export.verify(), f"{RECORDS}: its SHA-256 is not the ledger's.")


async def test_an_object_that_was_cut_off_is_found_wherever_it_is(export):
    content, _ = export.store.objects[RECORDS]
    for size in range(len(content)):
        export.put(RECORDS, content[:size])
        assert_damaged(await export.verify(), f"{RECORDS}: {size:,} bytes, but the ledger has")


async def test_another_number_of_lines_is_named(export):
    export.forge(RECORDS, export.rows(RECORDS)[:1])
    assert_damaged(await export.verify(), f"{RECORDS}: 1 line, but the ledger has 2.")


async def test_rows_of_other_exports_or_objects_are_named(export):
    a, b = export.rows(RECORDS)
    (c,) = export.rows(FAILURES)
    (d,) = export.rows("records/records-000000002.jsonl.gz")
    export.forge(RECORDS, [a, a, {**b, "schema_version": 1}, c, d, {"no": "row"}])
    findings = await export.verify()
    in_it = [p for p in findings.problems if p.startswith("records, object 1: ")]
    assert in_it == [
        f"records, object 1: {what}"
        for what in (
            "a row for b has schema version 1, not 2.",
            'a line is not a row: {"no":"row"}',
            "a second row for a.",
            "a row for c, whose verdict is not_found.",
            "a row for d, which the ledger has in object 2.",
        )
    ]


async def test_a_row_of_an_id_that_was_never_enqueued_is_named(export):
    a, b = export.rows(RECORDS)
    (c,) = export.rows(FAILURES)
    export.forge(RECORDS, [a, b, {**a, "interaction_id": "stranger"}])
    export.forge(FAILURES, [c, {**c, "interaction_id": "stranger"}])
    assert_damaged(
        await export.verify(),
        "records, object 1: a row for stranger, whose verdict is none.",
        "failures, object 1: a row for stranger, which is not in the ledger.",
    )


async def test_a_failure_with_another_verdict_than_in_the_database_is_named(export):
    (c,) = export.rows(FAILURES)
    export.forge(FAILURES, [{**c, "verdict": "exhausted"}])
    assert_damaged(
        await export.verify(),
        "failures, object 1: a row for c, whose verdict is not_found.",
        "1 IDs have another verdict than ok, but 0 are listed",
    )


async def test_a_failure_in_another_object_than_in_the_database_is_named(export):
    content, _ = export.store.objects[FAILURES]
    export.engine.feed(entries("e"))
    worker = await export.start()
    await worker.ledger.commit([outcome(e, Verdict.REJECTED) for e in await worker.take()])
    export.put("failures/failures-000000003.jsonl.gz", content)
    assert_damaged(
        await export.verify(),
        "failures, object 3: a row for c, which the ledger has in object 1.",
        "2 IDs have another verdict than ok, but 1 are listed",
    )


async def test_every_row_of_a_large_object_is_checked(export):
    many = entries(*(f"n{number}" for number in range(1_200)))
    export.engine.feed(many, block_of=1_200)
    worker = await export.start()
    await worker.ledger.commit([outcome(entry) for entry in await worker.take()])
    await export.write_manifest(worker)
    findings = await export.verify()
    assert (findings.exit_code, findings.lines) == (ExitCode.FINISHED, 1_204)


async def test_a_record_in_two_objects_is_found(export):
    """Whatever wrote it: the log has the ID in one of them."""
    content, _ = export.store.objects[RECORDS]
    export.put("records/records-000000002.jsonl.gz", content)
    assert_damaged(
        await export.verify(), "records, object 2: a row for a, which the ledger has in object 1."
    )


async def test_counts_that_contradict_the_ids_are_reported_as_a_bug(export):
    export.engine.lines += 1
    findings = await export.verify()
    assert "The ledger has counted 5 IDs, but has 4." in findings.problems
    assert "The ledger has counted 1 open IDs, but has 0." in findings.problems
    assert "report this as a bug" in findings.text()


async def test_a_log_that_lacks_a_number_is_reported_as_a_bug(export):
    export.engine.last_object = 3
    findings = await export.verify()
    assert "The ledger has counted 3 commits, but has objects of 2." in findings.problems
    assert "report this as a bug" in findings.text()


async def test_rows_of_one_result_in_several_sets_are_each_checked_against_its_verdict():
    form = ExportForm(LAYOUT, Shape.TABLES, Compression.GZIP)
    export = Export()
    export.engine.feed(entries("a", "b", "c"))
    worker = await export.start()
    a, b, c = await worker.take()
    for one in (a, b):
        line = outcome(one).lines["records"]
        tables = {"interactions": line, "scores": line + line, "segments": b""}
        await worker.ledger.commit([Outcome(one, Verdict.OK, 1, tables)])
    await worker.ledger.commit([outcome(c, Verdict.NOT_FOUND)])
    await Manifest(worker.books, export.store, STORED_FORM, form.sets, Compression.GZIP).write()
    findings = await verify_cluster(worker.books, export.store, form)
    assert (findings.exit_code, findings.parts) == (ExitCode.FINISHED, 5)
    both = [f"scores/scores-00000000{number}.jsonl.gz" for number in (1, 2)]
    objects = export.store.objects
    objects[both[0]], objects[both[1]] = objects[both[1]], objects[both[0]]
    findings = await verify_cluster(worker.books, export.store, form)
    assert "scores, object 1: a row for b, which the ledger has in object 2." in findings.problems
    assert "scores, object 2: a row for a, which the ledger has in object 1." in findings.problems


# --- what a loader would read beside it ---


@pytest.mark.parametrize(
    "name", ["records/records-000000099.jsonl.gz", "failures/copy.jsonl", "records/x.NDJSON.gz"]
)
async def test_an_object_that_the_log_lacks_is_named(export, name):
    export.put(name, export.store.objects[RECORDS][0])
    findings = await export.verify()
    assert findings.exit_code is ExitCode.INTEGRITY
    assert f"{name}: is not in the ledger" in findings.text()
    assert "restore a later state" in findings.text()


async def test_files_that_no_loader_would_read_are_noted_up_to_ten(export):
    for number in range(12):
        export.put(f"records/note-{number:02d}.txt", b"by hand")
    findings = await export.verify()
    assert findings.exit_code is ExitCode.FINISHED
    assert len(findings.notes) == 11
    assert findings.notes[-1] == "2 more objects are not part of it."


async def test_leftovers_of_killed_workers_are_noted(export):
    export.put("_pending/7-1-records.jsonl.gz", b"of one that was killed")
    findings = await export.verify()
    assert findings.exit_code is ExitCode.FINISHED
    assert findings.notes[0].startswith("1 object in _pending/ is not to be loaded")


# --- what is left to do ---


async def test_open_ids_and_an_input_that_may_grow_are_incomplete(export):
    export.engine.feed(entries("e", "f"), fed=False)
    assert_incomplete(
        await export.verify(), "2 IDs have no verdict yet.", "`cxai enqueue … --last`"
    )


async def test_an_older_manifest_is_no_fault_while_there_is_more_to_do(export):
    export.engine.feed(entries("e", "f"), block_of=1)
    worker = await export.start()
    await worker.ledger.commit([outcome(entry) for entry in await worker.take()])
    findings = await export.verify()
    assert_incomplete(findings, "1 ID has no verdict yet.")
    assert "manifest.json" not in findings.text()


async def test_a_committed_object_that_is_not_published_is_incomplete_and_read(
    export,
):
    export.engine.feed(entries("e"))
    worker = await export.start()
    export.store.faults.append(Fault("publish"))
    await worker.ledger.commit([outcome(entry) for entry in await worker.take()])
    findings = await export.verify()
    assert_incomplete(
        findings, "records/records-000000003.jsonl.gz is committed, but not published yet"
    )
    assert findings.lines == 5


async def test_a_committed_object_that_is_missing_is_damage(export):
    export.engine.feed(entries("e"))
    worker = await export.start()
    export.store.faults.append(Fault("publish"))
    await worker.ledger.commit([outcome(entry) for entry in await worker.take()])
    del export.store.objects[f"_pending/{worker.books.worker}-1-records.jsonl.gz"]
    assert_damaged(await export.verify(), "records/records-000000003.jsonl.gz: is missing.")


async def test_an_object_that_is_published_while_it_is_read_is_found(export):
    export.engine.feed(entries("e"))
    worker = await export.start()
    export.store.faults.append(Fault("publish"))
    await worker.ledger.commit([outcome(entry) for entry in await worker.take()])
    read = export.store.read

    async def gone_when_looked_for(name):
        if name.startswith("_pending/"):
            export.store.read = read
            await worker.publishing.repair()
        async for chunk in read(name):
            yield chunk

    export.store.read = gone_when_looked_for
    findings = await export.verify()
    assert findings.problems == []
    assert findings.lines == 5


async def test_workers_that_commit_meanwhile_only_make_it_incomplete(export):
    export.engine.feed(entries("e"))
    worker = await export.start()
    block = await worker.take()
    verdicts = worker.books.verdicts

    async def commit_first(keys):
        worker.books.verdicts = verdicts
        await worker.ledger.commit([outcome(entry) for entry in block])
        return await verdicts(keys)

    worker.books.verdicts = commit_first
    findings = await verify_cluster(worker.books, export.store, FORM)
    assert_incomplete(findings, "It changed while it was verified")


async def test_an_id_that_is_retried_meanwhile_is_no_damage(export):
    worker = await export.start()
    recount = worker.books.recount

    async def retried_first():
        export.engine.queue_again(entries("a", "b", "c")[2])
        return await recount()

    worker.books.recount = retried_first
    findings = await verify_cluster(worker.books, export.store, FORM)
    assert_incomplete(findings, "It changed while it was verified")


async def test_lines_of_an_input_without_a_verdict_are_counted(export):
    findings = await export.verify(ListSource([entries("a", "c", "x"), entries("y")]))
    assert_incomplete(findings, "2 lines of the input have no verdict", "ids.txt, line 3: x")
    assert (findings.asked, findings.missing) == (4, 2)


async def test_an_input_without_an_id_is_not_a_success(export):
    assert_incomplete(await export.verify(ListSource([[]])), "The given input holds no ID")


# --- the manifest ---


async def test_a_settled_export_without_a_current_manifest_is_incomplete(export):
    del export.store.objects["manifest.json"]
    assert_incomplete(await export.verify(), "manifest.json is missing")
    await export.write_manifest(await export.start())
    export.engine.feed(entries("e"))
    worker = await export.start()
    await worker.ledger.commit([outcome(entry) for entry in await worker.take()])
    assert_incomplete(await export.verify(), "manifest.json is older than the last commit")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"bytes": 1}, f"has bytes 1 for {FAILURES}, not "),
        ({"sha256": "00"}, f"has sha256 '00' for {FAILURES}, not "),
        ({"file": "records/other.jsonl.gz"}, "lists records/other.jsonl.gz, which the ledger"),
        ({"file": RECORDS}, "lists objects twice."),
    ],
)
async def test_a_manifest_that_contradicts_the_log_is_a_problem(export, change, problem):
    content = orjson.loads(export.store.objects["manifest.json"][0])
    content["parts"][0] |= change
    export.put("manifest.json", orjson.dumps(content))
    findings = await export.verify()
    assert findings.exit_code is ExitCode.INTEGRITY
    assert f"manifest.json: {problem}" in findings.text()
    assert "Don't rely on manifest.json" in findings.text()


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"parts": [1]}', b"\xff"])
async def test_a_malformed_manifest_is_named(export, content):
    export.put("manifest.json", content)
    assert "manifest.json: is not a manifest." in (await export.verify()).problems


# --- trouble ---


async def test_a_database_or_store_that_fails_is_no_finding(export):
    worker = await export.start()
    worker.books.fail("verdicts", EngineDownError("db/cxai", "connection refused"))
    with pytest.raises(BlockedError):
        await verify_cluster(worker.books, export.store, FORM)
