"""A ledger's database in memory: shows that another engine is one adapter of the port.

tests/contract/test_database.py holds it to what every engine promises.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from uuid import UUID

from cxai.core.entry import Entry
from cxai.core.layout import FAILURES
from cxai.ledger.disk_failure import DatabaseError, DiskFailure
from cxai.ledger.form import ExportForm, refuse_other_version
from cxai.ledger.port import Key, Run, Settled
from cxai.output.part_state import PartState
from cxai.policy.verdict import OPEN_AGAIN, Verdict

FORMAT = 1


@dataclass
class Books:
    """What outlives a MemoryDatabase, as a file outlives a connection."""

    form: ExportForm | None = None
    outcomes: dict[Key, tuple[str, int, int]] = field(default_factory=dict)  # verdict, run, part
    inbox: dict[int, Entry] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    begun: dict[tuple[str, int], str] = field(default_factory=dict)
    parts: dict[tuple[str, int], PartState] = field(default_factory=dict)
    extents: dict[tuple[str, int], list[tuple[int, int]]] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    reopened: dict[Key, None] = field(default_factory=dict)


class MemoryDatabase:
    """Adapter of port.Database on books in memory."""

    is_displaced = False

    def __init__(self, books):
        self._books = books

    @property
    def is_new(self):
        return self._books.form is None

    def create(self, form, at):  # noqa: ARG002 - the port's signature
        self._books.form = form
        for name in form.sets:
            self._keep(PartState(name, 1))

    def form(self, layout_of):
        there = self._books.form.layout
        here = layout_of(there.resource).schema_version
        refuse_other_version("schema version", there.schema_version, here, "memory")
        return self._books.form

    def change_origin(self, form):
        self._books.form = self._books.form.from_elsewhere(form)

    def has_outcomes(self):
        return bool(self._books.outcomes)

    def has_answers(self):
        return any(verdict != "invalid_id" for verdict, _, _ in self._books.outcomes.values())

    def outcome(self, key):
        verdict, run, part = self._books.outcomes.get(key, (None, 0, 0))
        return None if verdict is None else Settled(verdict, part, run)

    def outcomes(self, keys):
        return {key: settled for key in keys if (settled := self.outcome(key)) is not None}

    def verdicts(self):
        return self._counted(lambda _verdict, _part: True)

    def verdicts_in_place(self, main_set):
        def is_in_place(verdict, number):
            part = self._books.parts.get((main_set if verdict == "ok" else FAILURES, number))
            return part is None or not part.is_released

        return self._counted(is_in_place)

    def outcomes_by_run(self):
        return dict(Counter(run for _, run, _ in self._books.outcomes.values()))

    def parts(self):
        return [self._books.parts[name] for name in sorted(self._books.parts)]

    def extents(self, part):
        return self._books.extents.get((part.set, part.number), [])

    def put_in_inbox(self, entries):
        with self._transaction():
            for entry in entries:
                if self.is_in_inbox(entry.key):
                    raise DatabaseError(DiskFailure("it is in the inbox already", "fix the disk"))
                self._books.inbox[max(self._books.inbox, default=0) + 1] = entry

    def is_in_inbox(self, key):
        return any(entry.key == key for entry in self._books.inbox.values())

    def inbox(self, after, most):
        behind = [(at, entry) for at, entry in sorted(self._books.inbox.items()) if at > after]
        return behind[:most]

    def inbox_size(self):
        entries = self._books.inbox.values()
        return len(entries), sum(entry.key not in self._books.outcomes for entry in entries)

    def put_unfetched_in_inbox(self, source):
        _, keys = self.unfetched(len(self._books.reopened))
        for line, key in enumerate(sorted(keys, key=str), 1):
            if not self.is_in_inbox(key):
                name = str(UUID(bytes=key)) if isinstance(key, bytes) else key
                self.put_in_inbox([Entry(key, name, source, line)])

    def has_read_by(self, group):
        return group in self._books.groups

    def note_read_by(self, group):
        with self._transaction():
            self._books.groups.add(group)

    def begun(self):
        begun = self._books.begun
        return {
            part.set: begun[part.set, part.number]
            for part in self.parts()
            if not part.sealed and (part.set, part.number) in begun
        }

    def commit(self, run, outcomes, extents, at, *, recorded, failed, replaced=0):
        with self._transaction():
            for outcome in outcomes:
                key, verdict = outcome.entry.key, outcome.verdict
                if self._books.outcomes.get(key, ("",))[0] == Verdict.OK:
                    why = "an ID with a record got another verdict"
                    raise DatabaseError(DiskFailure(why, "fix the disk"))
                part = recorded if verdict is Verdict.OK else failed
                self._books.outcomes[key] = (verdict.value, run, part)
                if verdict not in OPEN_AGAIN:
                    self._clear_inbox(lambda one, key=key: one == key)
            for extent in extents:
                self._keep(extent.after)
                self._extend(extent)
                if extent.offset == 0:
                    self._books.begun[extent.after.set, extent.after.number] = at
            known = self._books.runs[run - 1]
            settled = known.settled + len(outcomes) - replaced
            self._books.runs[run - 1] = replace(known, seen_at=at, settled=settled)

    def seal(self, parts, empty):
        with self._transaction():
            for extent in empty:
                if extent.after.bytes:
                    self._extend(extent)
            for part in parts:
                self._keep(part.as_sealed())
                self._keep(part.following())

    def withdraw(self, parts):
        with self._transaction():
            for part in parts:
                del self._books.parts[part.set, part.number]
                self._books.extents.pop((part.set, part.number), None)
                if not part.sealed:
                    self._keep(part.following())
            lost = {(part.set == FAILURES, part.number) for part in parts}
            forgotten = [
                (key, verdict)
                for key, (verdict, _, number) in self._books.outcomes.items()
                if (verdict != "ok", number) in lost
            ]
            for key, verdict in forgotten:
                del self._books.outcomes[key]
                if verdict != "invalid_id":
                    self._books.reopened[key] = None
        return len(forgotten)

    def unfetched(self, most=0):
        ids = [key for key in self._books.reopened if key not in self._books.outcomes]
        return len(ids), ids[:most]

    def start_run(self, run_id, at):
        self._clear_inbox(lambda key: self._books.outcomes.get(key, ("",))[0] == "ok")
        number = len(self._books.runs) + 1
        self._books.runs.append(Run(number, run_id, at, at, 0, None, {}))
        return number

    def settled(self, run):
        return self._books.runs[run - 1].settled

    def finish_parts(self, run):
        for part in self.parts():
            if part.sealed and part.run_id is None:
                self._keep(replace(part, run_id=self._books.runs[run - 1].run_id))

    def end_run(self, run, ended, report, at):
        known = self._books.runs[run - 1]
        self._books.runs[run - 1] = replace(known, seen_at=at, ended=ended, report=dict(report))

    def runs(self):
        return list(self._books.runs)

    def release(self, parts, at):
        for part in parts:
            known = self._books.parts[part.set, part.number]
            if known.sealed and not known.is_released:
                self._keep(replace(known, released_at=at))

    def problems(self):
        return []

    def close(self):
        pass

    def _clear_inbox(self, is_to_go):
        inbox = self._books.inbox
        self._books.inbox = {at: entry for at, entry in inbox.items() if not is_to_go(entry.key)}

    def _counted(self, counts) -> Mapping[str, int]:
        found = Counter(
            verdict for verdict, _, part in self._books.outcomes.values() if counts(verdict, part)
        )
        return dict(sorted(found.items()))

    def _keep(self, part):
        self._books.parts[part.set, part.number] = part

    def _extend(self, extent):
        place = (extent.after.set, extent.after.number)
        self._books.extents.setdefault(place, []).append((extent.offset, extent.crc32))

    @contextmanager
    def _transaction(self):
        before = deepcopy(vars(self._books))
        try:
            yield
        except BaseException:
            vars(self._books).update(before)
            raise
