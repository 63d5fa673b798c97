"""The ledger's database in SQLite: one file in the output directory."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from cxai.core.entry import Entry, Outcome
from cxai.core.layout import FAILURES, Layout
from cxai.errors import IntegrityError
from cxai.ledger.form import ExportForm, refuse_other_version
from cxai.ledger.port import Key, Run, Settled
from cxai.ledger.sqlite_connection import Connection
from cxai.ledger.sqlite_rows import (
    entry_of,
    form_of,
    name_of,
    part_of,
    row_of_entry,
    row_of_extent,
    row_of_form,
    row_of_part,
    run_of,
    text_as_bytes,
)
from cxai.output.part_state import Extent, PartState
from cxai.policy.verdict import OPEN_AGAIN, Verdict

FORMAT = 2
"""The format of the tables in sqlite.sql. Ledgers of another format are refused."""

# The keys of one `read_outcomes`: 4.7 us a key, 7 if each is read alone.
_KEYS_PER_QUERY = 64


class SqliteDatabase:
    """Adapter of port.Database, on one file. Opening it raises as Connection does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = Connection(path)
        self._may_have_inbox = False  # saves commits the search in an empty inbox

    # --- the export ---

    @property
    def is_new(self) -> bool:
        return self._connection.one("read_any_table") is None

    @property
    def is_displaced(self) -> bool:
        return self._connection.is_displaced

    def create(self, form: ExportForm, at: str) -> None:
        with self._connection.transaction():
            self._connection.run_script("schema")
            self._connection.run_script("later_tables")
            versions = {"format": FORMAT, "schema_version": form.layout.schema_version}
            row = {**versions, **row_of_form(form), "created_at": at}
            self._connection.run("write_export", row)
            for name in form.sets:
                self._connection.run("write_part", row_of_part(PartState(name, 1)))

    def form(self, layout_of: Callable[[str], Layout]) -> ExportForm:
        directory = self._path.parent
        versions = self._connection.one("read_format")
        if versions is None:
            raise IntegrityError(f"{directory}: the ledger is damaged (it has no export).")
        format_, schema_version = versions
        refuse_other_version("ledger format", format_, FORMAT, directory)
        resource, *row = self._connection.one("read_form")
        layout = layout_of(resource)
        refuse_other_version("schema version", schema_version, layout.schema_version, directory)
        return form_of(row, layout, directory)

    def change_origin(self, form: ExportForm) -> None:
        with self._connection.transaction():
            self._connection.run("change_origin", row_of_form(form))

    # --- outcomes ---

    def has_outcomes(self) -> bool:
        return self._connection.one("read_any_outcome") is not None

    def has_answers(self) -> bool:
        return self._connection.one("read_any_answer") is not None

    def outcome(self, key: Key) -> Settled | None:
        row = self._connection.one("read_outcome", (key,))
        return None if row is None else Settled(*row)

    def outcomes(self, keys: Sequence[Key]) -> Mapping[Key, Settled]:
        found: dict[Key, Settled] = {}
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            some = keys[start : start + _KEYS_PER_QUERY]
            padding = (None,) * (_KEYS_PER_QUERY - len(some))  # matches nothing
            rows = self._connection.all("read_outcomes", (*some, *padding))
            found |= {key: Settled(*row) for key, *row in rows}
        return found

    def verdicts(self) -> Mapping[str, int]:
        return dict(self._connection.all("count_verdicts"))

    def verdicts_in_place(self, main_set: str) -> Mapping[str, int]:
        return dict(self._connection.all("count_verdicts_in_place", {"main_set": main_set}))

    def outcomes_by_run(self) -> Mapping[int, int]:
        return dict(self._connection.all("count_by_run"))

    def unfetched(self, most: int = 0) -> tuple[int, Sequence[Key]]:
        (ids,) = self._connection.one("count_unfetched")
        some = self._connection.all("read_unfetched", {"most": most}) if ids and most else []
        return ids, [key for (key,) in some]

    # --- the inbox ---

    def put_in_inbox(self, entries: Collection[Entry]) -> None:
        with self._connection.transaction():
            self._connection.run_many("write_entry", map(row_of_entry, entries))
        self._may_have_inbox = True

    def is_in_inbox(self, key: Key) -> bool:
        return self._connection.one("find_entry", (key,)) is not None

    def inbox(self, after: int, most: int) -> Sequence[tuple[int, Entry]]:
        rows = self._connection.all("read_entries", {"after": after, "most": most})
        return [(position, entry_of(row)) for position, *row in rows]

    def inbox_size(self) -> tuple[int, int]:
        if self._connection.one("find_inbox") is None:
            return 0, 0
        entries, without_verdict = self._connection.one("count_entries")
        return entries, without_verdict

    def put_unfetched_in_inbox(self, source: str) -> None:
        with self._connection.transaction():
            self._connection.run("write_unfetched", {"source": text_as_bytes(source)})
        self._may_have_inbox = True

    def has_read_by(self, group: str) -> bool:
        return self._connection.one("find_group", (group,)) is not None

    def note_read_by(self, group: str) -> None:
        with self._connection.transaction():
            self._connection.run("write_group", {"group": group})

    # --- parts ---

    def parts(self) -> Sequence[PartState]:
        return list(map(part_of, self._connection.all("read_parts")))

    def extents(self, part: PartState) -> Sequence[tuple[int, int]]:
        return self._connection.all("read_extents", name_of(part))

    def commit(
        self,
        run: int,
        outcomes: Collection[Outcome],
        extents: Collection[Extent],
        at: str,
        *,
        recorded: int,
        failed: int,
        replaced: int = 0,
    ) -> None:
        ok = Verdict.OK
        rows = (
            (o.entry.key, o.verdict.value, o.requests, run, recorded if o.verdict is ok else failed)
            for o in outcomes
        )
        with self._connection.transaction():
            self._connection.run_many("write_outcome", rows)
            for extent in extents:
                self._connection.run("write_part", row_of_part(extent.after))
                self._connection.run("write_extent", row_of_extent(extent))
                if extent.offset == 0:
                    self._connection.run("write_begun", {**name_of(extent.after), "at": at})
            if self._may_have_inbox:
                final = ((o.entry.key,) for o in outcomes if o.verdict not in OPEN_AGAIN)
                self._connection.run_many("delete_entry", final)
            progress = {"at": at, "settled": len(outcomes) - replaced, "run": run}
            self._connection.run("note_progress", progress)

    def seal(self, parts: Collection[PartState], empty: Collection[Extent]) -> None:
        with self._connection.transaction():
            for extent in empty:
                if extent.after.bytes:  # compressed, even a part without rows has some
                    self._connection.run("write_extent", row_of_extent(extent))
            for part in parts:
                self._connection.run("write_part", row_of_part(part.as_sealed()))
                self._connection.run("write_part", row_of_part(part.following()))

    def begun(self) -> Mapping[str, str]:
        return dict(self._connection.all("read_begun"))

    def withdraw(self, parts: Collection[PartState]) -> int:
        ids = 0
        with self._connection.transaction():
            for part in parts:
                self._connection.run("withdraw_part", name_of(part))
                self._connection.run("withdraw_extents", name_of(part))
                if not part.sealed:  # each set has one that is open
                    self._connection.run("write_part", row_of_part(part.following()))
            for is_failures, number in {(part.set == FAILURES, part.number) for part in parts}:
                rows = "failures" if is_failures else "records"
                self._connection.run(f"note_{rows}", {"number": number})
                ids += self._connection.run(f"forget_{rows}", {"number": number}).rowcount
        return ids

    def finish_parts(self, run: int) -> None:
        with self._connection.transaction():
            self._connection.run("finish_parts", {"run": run})

    def release(self, parts: Collection[PartState], at: str) -> None:
        with self._connection.transaction():
            for part in parts:
                self._connection.run("release_part", {"at": at, **name_of(part)})

    # --- runs ---

    def start_run(self, run_id: str, at: str) -> int:
        with self._connection.transaction():
            self._connection.run_script("later_tables")
            self._may_have_inbox = self._connection.one("read_any_entry") is not None
            if self._may_have_inbox:
                self._connection.run("delete_recorded", ())
            return self._connection.run("start_run", {"run_id": run_id, "at": at}).lastrowid or 0

    def settled(self, run: int) -> int:
        (settled,) = self._connection.one("read_settled", {"run": run})
        return int(settled)

    def end_run(self, run: int, ended: str, report: Mapping[str, Any], at: str) -> None:
        row = {"run": run, "ended": ended, "tally": orjson.dumps(report).decode(), "at": at}
        with self._connection.transaction():
            self._connection.run("end_run", row)

    def runs(self) -> Sequence[Run]:
        return list(map(run_of, self._connection.all("read_runs")))

    # --- the file ---

    def problems(self) -> Sequence[str]:
        found = self._connection.all("check_integrity")
        return [problem for (problem,) in found if problem != "ok"]

    def close(self) -> None:
        self._connection.close()
