"""Verifies one export: its ledger, parts, rows, names, manifest and last run, in this order."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from cxai.core.entry import Entry, SourceItem, key_of_secret
from cxai.core.figures import counted, verb
from cxai.inspect.at_rest import export_at_rest
from cxai.inspect.verify.findings import Findings
from cxai.inspect.verify.last_run import check_accounts, check_last_run
from cxai.inspect.verify.manifest import check_manifest
from cxai.inspect.verify.names import check_names
from cxai.inspect.verify.parts import read_parts
from cxai.inspect.verify.rows import Rows
from cxai.ledger.distinct import DistinctKeys
from cxai.ledger.port import Database
from cxai.output.contents import LEDGER_NAME
from cxai.output.part_state import PartState
from cxai.resources.registry import all_part_sets, layout_of

_MOST_NAMED = 10


def verify_export(path: Path, expected: Iterable[Sequence[SourceItem]] | None = None) -> Findings:
    """Read every part of the export in `path` and check it against the ledger.

    `expected` are blocks of an input: its lines without a verdict are counted, too.

    It checks the ledger's own pages; the size, SHA-256 and number of lines of each part; that each
    line is a row of this export; that each record's ID has the verdict `ok` and no other record;
    that each `ok` has its record, in the part that the ledger has for it, and each other verdict
    its line in the failures; that each run has as many outcomes as it counted; that no other file
    looks like a part; that the manifest matches; and that no part is still open and the last run
    finished, with nothing left to do.
    Raises UsageError if there is no export, if a run owns it, or if another version wrote it.
    """
    findings = Findings(path)
    with export_at_rest(path, "verify", "verify") as (_, ledger):
        for problem in ledger.problems():
            findings.add(f"{LEDGER_NAME}: {problem}")
        known = {} if ledger.is_new else _verify_parts(ledger, findings)
        verdicts = {} if ledger.is_new else ledger.verdicts()
        if expected is not None:
            _look_up(ledger, findings, expected)
            if verdicts and not findings.asked:
                findings.unfinished.append("The given input has no IDs to look up.")
        if not ledger.is_new:
            check_accounts(ledger, findings)
            _name_unfetched(ledger, findings)
            _count_waiting(ledger, findings)
        runs = [] if ledger.is_new else ledger.runs()
    last = runs[-1] if runs else None
    check_names(findings, known, all_part_sets())
    check_manifest(findings, known, verdicts, last)
    check_last_run(findings, last, has_outcomes=bool(verdicts))
    return findings


def _verify_parts(ledger: Database, findings: Findings) -> dict[str, PartState]:
    """Verify the parts in the ledger and return them by the names of their files."""
    form = ledger.form(layout_of)
    known = read_parts(ledger, findings.directory, form.compression)
    findings.released = sum(part.is_released for part in known.values())
    findings.open_parts = {
        name: part.records for name, part in known.items() if not part.sealed and part.records
    }
    with DistinctKeys(findings.directory) as seen:
        Rows(ledger, findings, known, seen).check(form)
    return known


def _name_unfetched(ledger: Database, findings: Findings) -> None:
    """Add the IDs of lost parts that no run has fetched again."""
    ids, keys = ledger.unfetched(_MOST_NAMED)
    if not ids:
        return
    named = ", ".join(str(uuid.UUID(bytes=k)) if isinstance(k, bytes) else k for k in keys)
    more = f" and {ids - len(keys):,} more" if ids > len(keys) else ""
    findings.unfinished.append(
        f"{counted(ids, 'IDs')} of lost parts {verb(ids, 'have')} no verdict yet:"
        f" run with an input that contains {named}{more}."
    )


def _count_waiting(ledger: Database, findings: Findings) -> None:
    """Add the number of acknowledged messages without a verdict."""
    _, waiting = ledger.inbox_size()
    if waiting:
        findings.unfinished.append(
            f"{counted(waiting, 'messages')} of a queue {verb(waiting, 'are')} in the inbox without"
            " a verdict."
        )


def _look_up(
    ledger: Database, findings: Findings, expected: Iterable[Sequence[SourceItem]]
) -> None:
    """Look up the verdict of each line of the input."""
    is_empty = ledger.is_new
    for item in chain.from_iterable(expected):
        if isinstance(item, Entry):
            findings.asked += 1
            if is_empty:
                findings.miss(item)
            elif ledger.outcome(item.key) is None:
                findings.miss(_without_secret(ledger, item))


def _without_secret(ledger: Database, entry: Entry) -> Entry:
    """Hide the text of a line in which a run found the API token, which we may not know."""
    if ledger.outcome(key_of_secret(entry.source, entry.line)) is not None:
        return replace(entry, id="(not shown: a run found the API token here)")
    return entry
