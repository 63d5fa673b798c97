"""Verifies a shared export: its log, objects, rows, names and manifest, in this order."""

from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path

from cxai.cluster.books import Books
from cxai.cluster.keys import item_key
from cxai.cluster.names import final_name
from cxai.cluster.rows import Counts, ObjectRow, Recount
from cxai.cluster.verify.manifest import check_manifest
from cxai.cluster.verify.names import check_names
from cxai.cluster.verify.objects import Objects
from cxai.cluster.verify.rows import Rows
from cxai.cluster.view import logged_objects
from cxai.core.entry import Entry
from cxai.core.figures import counted, verb
from cxai.core.ports import Source
from cxai.inspect.verify.findings import Advice, Findings
from cxai.ledger.form import ExportForm
from cxai.objects.port import ObjectStore
from cxai.policy.verdict import Verdict


async def verify_cluster(
    books: Books, store: ObjectStore, form: ExportForm, expected: Source | None = None
) -> Findings:
    """Read every object of an export and check it against the log.

    It checks name, size, SHA-256 and number of lines of each object; that each line is a row of
    this export; that each ID has its record or its line in the failures, in the object that the log
    names; the database's counts; that the log has every object that a loader would read; the
    manifest; that nothing is left to do; and that each ID of `expected`, an input, has a verdict.
    What workers commit meanwhile is not checked, and a finding says so. Memory grows by a few
    hundred bytes for each object. Raises StoreError and EngineDownError.
    """
    findings = Findings(Path(), place=store.location)
    counts = await books.counts()
    objects = Objects(store, findings, form.compression)
    rows = Rows(books, objects, findings, form)
    known: dict[str, ObjectRow] = {}
    async for row in logged_objects(books, counts.last_object):
        known[final_name(row.number, row.set, form.compression)] = row
        await rows.check(row)
    _check_numbers(findings, known, counts)
    recount, now = await books.recount(), await books.counts()
    if is_at_rest := _accounts(now) == _accounts(counts):
        rows.compare(counts)
        _check_accounts(findings, counts, recount)
    else:
        findings.unfinished.append("It changed while it was verified: workers are running.")
    if expected is not None:
        await _look_up(books, findings, expected)
    await check_names(books, store, findings, known, form.layout.all_sets, counts.last_object)
    is_settled = is_at_rest and (await books.queue()).is_settled
    await check_manifest(store, findings, known, counts, form.compression, is_settled=is_settled)
    _add_what_is_left(findings, counts)
    return findings


def _check_numbers(findings: Findings, known: dict[str, ObjectRow], counts: Counts) -> None:
    """Check that the log has an object for each number."""
    last, there = counts.last_object, len({row.number for row in known.values()})
    if there != last:
        problem = f"The ledger has counted {last:,} commits, but has objects of {there:,}."
        findings.add(problem, Advice.REPORT)


def _accounts(counts: Counts) -> tuple[object, ...]:
    """Return the counts that change only if lines are enqueued, retried or settled."""
    return counts.lines, counts.last_object, _by_name(counts.verdicts)


def _check_accounts(findings: Findings, counts: Counts, recount: Recount) -> None:
    """Compare the running counts with the items themselves."""
    for what, kept, there in (
        ("IDs", counts.ids, recount.ids),
        ("open IDs", counts.open, recount.in_blocks),
        ("verdicts", _by_name(counts.verdicts), _by_name(recount.verdicts)),
    ):
        if kept != there:
            findings.add(f"The ledger has counted {kept} {what}, but has {there}.", Advice.REPORT)


def _by_name(verdicts: Mapping[Verdict, int]) -> dict[str, int]:
    return {verdict.value: n for verdict, n in verdicts.items()}


def _add_what_is_left(findings: Findings, counts: Counts) -> None:
    if counts.open:
        have = verb(counts.open, "have")
        findings.unfinished.append(f"{counted(counts.open, 'IDs')} {have} no verdict yet.")
    if not counts.fed:
        findings.unfinished.append(
            "Its input may be incomplete: `cxai enqueue … --last` marks it as complete."
        )


async def _look_up(books: Books, findings: Findings, expected: Source) -> None:
    """Check that each ID of the input has a verdict."""
    async with aclosing(expected.batches()) as batches:
        async for block in batches:
            entries = [item for item in block if isinstance(item, Entry)]
            settled = await books.verdicts([item_key(entry.key) for entry in entries])
            for entry in entries:
                findings.asked += 1
                _, verdict = settled.get(item_key(entry.key), (None, None))
                if verdict is None:
                    findings.miss(entry)
    if not findings.asked:
        findings.unfinished.append("The given input holds no ID.")
