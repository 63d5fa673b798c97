"""The ledger of one machine, for one run; see docs/architecture/ledger.md. One thread calls it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from cxai.core.entry import Entry, Outcome
from cxai.core.events import Emit
from cxai.core.layout import FAILURES, Layout
from cxai.core.ports import Admission, Clock
from cxai.core.timestamp import timestamp
from cxai.errors import BlockedError, CxaiError, UsageError
from cxai.ledger.admission import Admissions
from cxai.ledger.commit import BatchCommit
from cxai.ledger.disk_failure import stopping
from cxai.ledger.distinct import DistinctKeys
from cxai.ledger.form import ExportForm, refuse_other_form
from cxai.ledger.inbox import REOPENED, Inbox
from cxai.ledger.part_ages import PartAges
from cxai.ledger.port import Database
from cxai.ledger.recovery import open_ledger, recover_parts
from cxai.ledger.reopen import withdraw_missing
from cxai.ledger.rotation import Rotation
from cxai.ledger.runs import CurrentRun
from cxai.output.directory import OutputDirectory
from cxai.policy.verdict import Verdict


class Committer:
    """Ledger and parts of one output directory, whose lock the caller holds.

    Opening it recovers the directory (recovery.py) and may raise IntegrityError; UsageError if the
    directory holds an export of another form; CommitError if the disk fails.

    IDs with a verdict in `reopen` are retried, beside those that always are; with `reopen_missing`,
    so are the IDs of parts whose files are missing and not released. A part of `part_bytes` or more
    is sealed, and so is one whose first row is `part_every_s` seconds old (None: never), each
    together with the parts that have other rows of the same IDs. `run_id` is in the rows of this
    run. `emit` takes the events of recovery. `is_queue` is whether the source drops entries that
    are acknowledged: then the inbox keeps them. `group` is the consumer group that reads the queue,
    if any; `has_read_by_group` is whether an earlier run admitted entries that it had read.
    """

    def __init__(
        self,
        directory: OutputDirectory,
        form: ExportForm,
        clock: Clock,
        *,
        part_bytes: int,
        run_id: str,
        emit: Emit,
        reopen: Collection[Verdict] = (),
        reopen_missing: bool = False,
        part_every_s: float | None = None,
        is_queue: bool = False,
        group: str | None = None,
    ) -> None:
        self._failed: CxaiError | None = None
        self._path = path = directory.path
        with ExitStack() as opened:
            with self._doing("open the export in"):
                self._database = open_ledger(path, form.layout.all_sets)
            opened.callback(self._database.close)
            with self._doing("open the export in"):  # names the shortage; closing may end it
                if self._database.is_new:
                    self._database.create(form, timestamp(clock.utc()))
                    directory.sync()
                _settle_form(self._database, form, path)
                if reopen_missing:
                    withdraw_missing(self._database, form, path, emit)
                self._parts = recover_parts(directory, self._database.parts(), form, emit)
                opened.callback(self._parts.close)
                keys = None if is_queue else opened.enter_context(DistinctKeys(path))
                self._run = CurrentRun(directory, self._database, clock, run_id, form.compression)
                self._inbox = Inbox(self._database, self._run.number, reopen)
                self._admissions: Admissions | Inbox = self._inbox
                if keys is not None:
                    self._admissions = Admissions(keys, self._database, self._run.number, reopen)
                elif self._database.unfetched() != (0, []):  # no queue delivers them again
                    self._database.put_unfetched_in_inbox(REOPENED)
                self.has_read_by_group = group is not None and self._database.has_read_by(group)
                self._group = None if self.has_read_by_group else group  # yet to be recorded
                ages = PartAges(part_every_s, clock, self._database.begun())
                ages.begin(part.state.set for part in self._parts if part.state.bytes)
            self._seals_by_age = part_every_s is not None
            self._rotation = Rotation(self._parts, self._database, form, part_bytes, ages)
            self._batches = BatchCommit(
                self._run.number, self._parts, self._database, self._rotation, form.record_sets[0]
            )
            self._opened = opened.pop_all()

    def left_over(self) -> Admission:
        """Return the next block that earlier runs left, empty at the end. Raises CommitError."""
        with self._doing("read the inbox of"):
            block = self._inbox.next_left_over()
            self._admissions.expect(block)
        return Admission(block, 0, {})

    def admit(self, entries: Sequence[Entry]) -> Admission:
        """Return which of `entries` to fetch, and count duplicates and settled ones.

        Raises DiskFullError if the disk is full, and the same call may be made again; CommitError
        if the disk fails.
        """
        with self._doing("look up IDs in"):
            if self._group is not None and entries:
                self._database.note_read_by(self._group)
                self._group = None
            return self._admissions.admit(entries)

    def commit(self, outcomes: Collection[Outcome]) -> None:
        """Make outcomes and their lines durable, all or none (commit.py).

        Raises as BatchCommit does. After another error than DiskFullError, every commit fails.
        """
        with self._unless_failed():
            self._batches.commit(outcomes, self._run.now(), self._inbox.to_replace(outcomes))
        self._admissions.note_committed(outcomes)

    def seal_old(self) -> float | None:
        """Seal the parts that are old enough, and list all sealed parts in the manifest.

        Returns the seconds until the next call is due, None if parts are not sealed by age. Raises
        as `commit` does.
        """
        if not self._seals_by_age:
            return None
        with self._unless_failed():
            self._batches.seal_old()
            if self._rotation.has_unlisted:
                with self._doing("list the sealed parts of"):
                    self._run.list_parts()
                self._rotation.has_unlisted = False
        return self._rotation.ages.next_s()

    def settled(self) -> int:
        """Return how many outcomes this run committed, replaced ones too. Raises CommitError."""
        with self._doing("count what is committed in"):
            return self._database.settled(self._run.number) + self._inbox.replaced

    def unfetched(self) -> int:
        """Return how many IDs of withdrawn parts have no new verdict. Raises CommitError."""
        with self._doing("count the IDs of reopened parts in"):
            ids, _ = self._database.unfetched()
            return ids

    def has_released_failures(self) -> bool:
        """Return whether `cxai prune` released a part with failures. Raises CommitError."""
        with self._doing("list the parts of"):
            return any(p.set == FAILURES and p.is_released for p in self._database.parts())

    def end_run(self, ended: str, report: Mapping[str, Any]) -> None:
        """Seal all parts, write the manifest and record how the run ended, in this order.

        Raises CommitError, or IntegrityError if a file of the export was moved or replaced.
        """
        with self._doing("seal the parts in"):
            self._rotation.seal_all()
            self._database.finish_parts(self._run.number)
        self._run.end(ended, report)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close everything. What is committed stays."""
        self._opened.close()

    @contextmanager
    def _unless_failed(self) -> Iterator[None]:
        """Refuse all work after a failure that only the next start can resolve."""
        if self._failed is not None:
            raise self._failed
        try:
            yield
        except BlockedError:
            raise
        except CxaiError as error:
            self._failed = error
            raise

    def _doing(self, what: str) -> AbstractContextManager[None]:
        return stopping(f"{what} {self._path}", self._path)


def _settle_form(database: Database, form: ExportForm, directory: Path) -> None:
    """Refuse rows of another form or origin than those of the export.

    The origin and the score ranges may change until an API has answered: they may be mistyped.
    """

    def own_layout(resource: str) -> Layout:
        if resource != form.layout.resource:
            raise UsageError(
                f"{directory} has an export with resource {resource}, not {form.layout.resource}."
                f' Set resource = "{resource}", or export into a new directory.'
            )
        return form.layout

    there = database.form(own_layout)
    if database.has_answers():
        refuse_other_form(there, form, directory)
    else:
        refuse_other_form(there.from_elsewhere(form), form, directory)
        database.change_origin(form)
