"""Checks the rows of an export against the verdicts in the database, 500 at a time."""

from collections.abc import Mapping
from typing import Any

import orjson

from cxai.cluster.books import Books
from cxai.cluster.keys import item_key
from cxai.cluster.rows import Counts, ObjectRow
from cxai.cluster.verify.objects import Objects
from cxai.core.entry import key_of
from cxai.core.layout import FAILURES
from cxai.core.text import printable
from cxai.inspect.verify.findings import Advice, Findings
from cxai.ledger.form import ExportForm
from cxai.policy.verdict import Verdict

_AT_ONCE = 500
_TEXTS = ("retrieved_at", "run_id")  # in every row, beside its ID and schema version
_SHOWN_CHARS = 64

_Row = Mapping[str, Any]
_Settled = tuple[int | None, Verdict | None]
"""The object and the verdict of an ID, None while it is open."""


class Rows:
    """All rows of an export, checked object by object.

    An ID has one verdict, in one object. So it is enough that no ID is twice in one object, that
    each is in the object that the database names, and that their number is the database's.
    """

    def __init__(
        self, books: Books, objects: Objects, findings: Findings, form: ExportForm
    ) -> None:
        self._books = books
        self._objects = objects
        self._findings = findings
        self._form = form
        self._main_set = form.record_sets[0]
        self._with_record = self._listed = self._invalid = 0

    async def check(self, row: ObjectRow) -> None:
        """Check the rows of one object. Raises StoreError and EngineDownError."""
        seen: set[bytes] = set()
        rows: list[_Row] = []
        async for line in self._objects.lines(row):
            if (its := self._row(row, line)) is not None:
                rows.append(its)
            if len(rows) >= _AT_ONCE:
                await self._check(row, rows, seen)
                rows = []
        await self._check(row, rows, seen)

    def compare(self, counts: Counts) -> None:
        """Compare the number of rows with the database's counts."""
        verdicts = dict(counts.verdicts)
        ok, invalid = verdicts.pop(Verdict.OK, 0), verdicts.pop(Verdict.INVALID_ID, 0)
        if self._with_record != ok:
            self._fault(f"{ok:,} IDs have the verdict ok, but {self._with_record:,} have a record.")
        if self._invalid < invalid:
            self._fault("Some invalid lines of the input are missing from the failures.")
        if self._listed != (others := sum(verdicts.values())):
            self._fault(
                f"{others:,} IDs have another verdict than ok, but {self._listed:,} are listed with"
                " it in the failures."
            )

    async def _check(self, row: ObjectRow, rows: list[_Row], seen: set[bytes]) -> None:
        keys = [item_key(key_of(its["interaction_id"])) for its in rows]
        settled = await self._books.verdicts(keys) if keys else {}
        for its, key in zip(rows, keys, strict=True):
            if row.set != FAILURES:
                self._check_record(row, its, settled.get(key))
            elif its.get("verdict") == Verdict.INVALID_ID:
                self._invalid += 1
                continue  # its key is made of its place in the input, which the row does not have
            else:
                self._check_failure(row, its, settled.get(key))
            if row.set in {self._main_set, FAILURES}:
                if key in seen:
                    self._add(row, f"a second row for {_id(its)}.")
                seen.add(key)

    def _check_record(self, row: ObjectRow, its: _Row, settled: _Settled | None) -> None:
        number, verdict = settled or (None, None)
        if verdict is not Verdict.OK:
            self._add(row, f"a row for {_id(its)}, whose verdict is {verdict or 'none'}.")
        elif number != row.number:
            self._add(row, f"a row for {_id(its)}, which the ledger has in object {number}.")
        elif row.set == self._main_set:
            self._with_record += 1

    def _check_failure(self, row: ObjectRow, its: _Row, settled: _Settled | None) -> None:
        """Check a line of the failures; that of a retried ID is older than its verdict."""
        if settled is None:
            self._add(row, f"a row for {_id(its)}, which is not in the ledger.")
            return
        number, verdict = settled
        if verdict is None or number is None:
            return  # it is being retried
        if number < row.number:
            self._add(row, f"a row for {_id(its)}, which the ledger has in object {number}.")
        elif number == row.number and verdict != its.get("verdict"):
            self._add(row, f"a row for {_id(its)}, whose verdict is {verdict}.")
        elif number == row.number:
            self._listed += 1

    def _row(self, row: ObjectRow, line: bytes) -> _Row | None:
        try:
            its = orjson.loads(line)
        except orjson.JSONDecodeError:
            its = None
        if not isinstance(its, dict) or not isinstance(its.get("interaction_id"), str):
            self._add(row, f"a line is not a row: {printable(line, _SHOWN_CHARS)}")
            return None
        right = self._form.layout.schema_version
        if its.get("schema_version") != right:
            version = printable(str(its.get("schema_version")), _SHOWN_CHARS)
            self._add(row, f"a row for {_id(its)} has schema version {version}, not {right}.")
        for column in _TEXTS:
            if not isinstance(its.get(column), str):
                self._add(row, f"a row for {_id(its)} has no {column}.")
        return its

    def _add(self, row: ObjectRow, what: str) -> None:
        self._fault(f"{row.set}, object {row.number}: {what}")

    def _fault(self, problem: str) -> None:
        self._findings.add(problem, Advice.RESTORE_OBJECTS)


def _id(its: _Row) -> str:
    return printable(its["interaction_id"], _SHOWN_CHARS)
