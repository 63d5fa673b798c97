"""Checks the rows of an export against the verdicts in the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from cxai.core.entry import key_of
from cxai.core.layout import FAILURES
from cxai.core.text import printable
from cxai.inspect.verify.findings import Advice, Findings
from cxai.inspect.verify.parts import has_file, lines_of
from cxai.ledger.distinct import DistinctKeys
from cxai.ledger.form import ExportForm
from cxai.ledger.port import Database, Key
from cxai.output.part_state import PartState
from cxai.policy.verdict import Verdict

_TEXTS = ("retrieved_at", "run_id")  # in every row, beside its ID and schema version
_SHOWN_CHARS = 64


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of the parts in `known`, checked in one pass. `seen` is an empty set of keys."""

    ledger: Database
    findings: Findings
    known: Mapping[str, PartState]
    seen: DistinctKeys

    def check(self, form: ExportForm) -> None:
        """Check that each ID with the verdict ok has its one record, and each other is listed."""
        main_set = form.record_sets[0]
        with_record = listed = invalid = 0
        for name, part in self.known.items():
            if not has_file(part):
                continue
            for line in lines_of(self.ledger, self.findings, name, part, form.compression):
                row = self._row(part, line, form.layout.schema_version)
                if row is None:
                    continue
                if part.set != FAILURES:
                    with_record += self._is_the_record(part, row, main_set)
                elif row.get("verdict") == Verdict.INVALID_ID:
                    invalid += 1
                else:
                    listed += self._is_the_verdict(part, row)
        self._compare(main_set, with_record, listed, invalid)

    def _compare(self, main_set: str, with_record: int, listed: int, invalid: int) -> None:
        """Compare the counts with the ledger's, for IDs whose rows are in parts not released."""
        # If a file is missing, counts that differ need no other advice than the file does.
        advice = Advice.MISSING if Advice.MISSING in self.findings.advice else Advice.RESTORE
        counts = dict(self.ledger.verdicts_in_place(main_set))
        ok = counts.pop(Verdict.OK.value, 0)
        if with_record != ok:
            problem = f"{ok:,} IDs have the verdict ok, but {with_record:,} have a record."
            self.findings.add(problem, advice)
        if invalid < counts.pop(Verdict.INVALID_ID.value, 0):
            problem = "Invalid lines of the input are missing from the failures."
            self.findings.add(problem, advice)
        others = sum(counts.values())
        if listed != others:
            self.findings.add(
                f"{others:,} IDs have another verdict than ok, but {listed:,} are listed with it in"
                " the failures.",
                advice,
            )

    def _row(self, part: PartState, line: bytes, schema_version: int) -> dict[str, Any] | None:
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            row = None
        if not isinstance(row, dict) or not isinstance(row.get("interaction_id"), str):
            self._add(part, f"a line is not a row: {printable(line, _SHOWN_CHARS)}")
            return None
        if row.get("schema_version") != schema_version:
            version = printable(orjson.dumps(row.get("schema_version")), _SHOWN_CHARS)
            self._add(part, f"{_of(row)} has schema version {version}, not {schema_version}.")
        for column in _TEXTS:
            if not isinstance(row.get(column), str):
                self._add(part, f"{_of(row)} has no {column}.")
        return row

    def _is_the_record(self, part: PartState, row: Mapping[str, Any], main_set: str) -> bool:
        """Return whether the row is the one record of an ID with the verdict ok."""
        key = key_of(row["interaction_id"])
        verdict, number = self._outcome(key)
        if verdict != Verdict.OK:
            self._add(part, f"{_of(row)}, whose verdict is {verdict or 'none'}.")
            return False
        if number != part.number:
            self._add(part, f"{_of(row)}, which the ledger has in part {number}.")
        if part.set != main_set:
            return False
        is_first = self.seen.add(key)
        if not is_first:
            self._add(part, f"a second record for {_id(row)}.")
        return is_first

    def _is_the_verdict(self, part: PartState, row: Mapping[str, Any]) -> bool:
        """Return whether a failure has the current verdict of its ID, and is the first to."""
        key = key_of(row["interaction_id"])
        verdict, _ = self._outcome(key)
        if verdict is None:
            self._add(part, f"{_of(row)}, whose verdict is none.")
        return verdict == row.get("verdict") and self.seen.add(key)

    def _outcome(self, key: Key) -> tuple[str | None, int]:
        """Return the verdict of an ID, None if it has none, and the part that has its rows."""
        settled = self.ledger.outcome(key)
        return (None, 0) if settled is None else (settled.verdict, settled.part)

    def _add(self, part: PartState, what: str) -> None:
        self.findings.add(f"{part.set}, part {part.number}: {what}")


def _of(row: Mapping[str, Any]) -> str:
    return f"a row for {_id(row)}"


def _id(row: Mapping[str, Any]) -> str:
    return printable(row["interaction_id"], _SHOWN_CHARS)
