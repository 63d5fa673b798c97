"""What the tests of the books put in: entries, outcomes and objects."""

import hashlib
from itertools import count

from cxai.cluster.keys import item_key
from cxai.cluster.rows import Recount, Written
from cxai.core.entry import IdRule
from cxai.policy.verdict import Verdict

FORM = {
    "resource": "cx_ai",
    "schema_version": 2,
    "shape": "nested",
    "compression": "zstd",
    "base_url": "https://api.example",
    "bands": "",
    "bands_digest": "",
    "bands_name": "none",
    "destination": "/shared/export",
}
TERMS = {"rate": 5.0, "in_flight": 10}

_numbers = count(1)


def entries_of(ids, source="ids.txt"):
    """Return the entries of lines with these texts."""
    rule = IdRule()
    return [rule.read(one.encode(), source, line) for line, one in enumerate(ids, 1)]


def written(entries, part_set="records", pending=None):
    """Return the object that holds the lines of these entries."""
    pending = pending or f"_pending/test-{next(_numbers)}-{part_set}"
    sha256 = hashlib.sha256(pending.encode()).digest()
    return Written(part_set, pending, len(entries), 100 * len(entries), sha256)


def outcomes_of(entries, verdict=Verdict.OK, requests=1):
    return [(item_key(entry.key), verdict, requests) for entry in entries]


def all_of(claimed):
    return [entry for one in claimed for entry in one.entries]


async def commit(books, claimed, verdict=Verdict.OK, *, of=None, pending=None, finished=None):
    """Settle all IDs of what was claimed, or only those in `of`, and return the object's number."""
    entries = all_of(claimed) if of is None else of
    left = {one.block: set(one.entries) - set(entries) for one in claimed}
    blocks = {block: not some for block, some in left.items()} if finished is None else finished
    return await books.commit(
        outcomes_of(entries, verdict), blocks, [written(entries, pending=pending)]
    )


def silence(database, *workers):
    """Make it so that these workers were last heard of an hour ago."""
    database.execute(
        "UPDATE cxai.worker SET seen = seen - interval '1 hour' WHERE id = ANY (%s)",
        ([one.worker for one in workers],),
    )


async def lose(database, worker, by):
    """Let others take a worker for dead."""
    silence(database, worker)
    assert await by.beat("", may_reap=True) == 1


def state_of(database, export="nightly"):
    """Return all that the engine holds of an export, for comparing."""
    tables = ("export", "item", "tally", "block", "object")
    ordered = "SELECT t::text FROM cxai_{}.{} t ORDER BY 1"
    return {table: database.execute(ordered.format(export, table)) for table in tables}


async def agrees(books):
    """Whether the running counts of an export are those of its items."""
    counts, real = await books.counts(), await books.recount()
    return real == Recount(counts.ids, counts.verdicts, counts.open)
