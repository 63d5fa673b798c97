"""Output directories in any state of their life, made through the store alone, in milliseconds."""

import errno
import os
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from worker.api import wire
from worker.clock import SystemClock
from worker.domain.entry import IdRule
from worker.domain.records import Shape
from worker.domain.verdict import Outcome, Stage, Verdict
from worker.ledger.store import ExportForm, Store
from worker.output.compression import Compression
from worker.output.directory import OutputDirectory
from worker.output.lines import Lines
from worker.output.manifest import MANIFEST_NAME, manifest
from worker.simulator import fate
from worker.simulator.bodies import result_json

_CLOCK = SystemClock()


def entries_of(ids):
    rule = IdRule()
    return [rule.read(one.encode(), "ids.txt", line) for line, one in enumerate(ids, 1)]


def outcomes_of(entries, scenario, shape=Shape.NESTED):
    """Return what a run would commit: each ID's record, or `not_found` if it has none."""
    lines = Lines(shape)
    outcomes = []
    for entry in entries:
        its = fate(scenario, entry.id)
        if its.has_result:
            interaction = wire.read(result_json(scenario.seed, its.variant))
            record = lines.record(entry.id, interaction, _CLOCK.utc())
            outcomes.append(Outcome(entry, Verdict.OK, 1, record))
        else:
            told = (Verdict.NOT_FOUND, "HTTP 404", Stage.HEADERS, 1, _CLOCK.utc())
            outcomes.append(Outcome(entry, Verdict.NOT_FOUND, 1, lines.failure(entry, *told)))
    return outcomes


@contextmanager
def opened(
    path, *, shape=Shape.NESTED, compression=Compression.NONE, part_bytes=1 << 28, steps=None
):
    """Return the store of an output directory, recovered as at the start of a run.

    `steps`, a Steps, watches all that it does.
    """
    with (
        OutputDirectory(path) as directory,
        steps or nullcontext(),
        Store(directory, ExportForm(shape, compression), _CLOCK, part_bytes=part_bytes) as store,
    ):
        yield store


def commit(store, ids, scenario, *, batch=10, shape=Shape.NESTED):
    """Settle what is open of `ids`, `batch` at a time."""
    fresh = store.admit(entries_of(ids)).fresh
    for start in range(0, len(fresh), batch):
        store.commit(outcomes_of(fresh[start : start + batch], scenario, shape))


def run_killed(path, ids, scenario, **how):
    """Leave a directory as a run does that was killed after these IDs: its parts are open."""
    with opened(path, **how) as store:
        commit(store, ids, scenario, shape=how.get("shape", Shape.NESTED))


def run_finished(path, ids, scenario, *, batch=10, **how):
    """Leave a directory as a run does that came to its end."""
    with opened(path, **how) as store:
        commit(store, ids, scenario, batch=batch, shape=how.get("shape", Shape.NESTED))
        store.end_run("finished", {})
        content = manifest(
            store.parts(),
            how.get("compression", Compression.NONE),
            store.verdicts(),
            {"ended": "finished", "adds_up": True},
        )
    with OutputDirectory(path) as directory:
        directory.replace(MANIFEST_NAME, content)


class CrashedError(BaseException):
    """The process is gone. Nothing catches it, so nothing is tidied up."""


class Steps:
    """A context manager that counts the system calls that change files; may crash at one of them.

    `crash_at` is the number of the call (from 0). `how` it crashes: `before` or `after` the call;
    `torn`, after half of a write; or by a `power` loss before it (or behind the last call), which
    takes along all that was not synced. Once crashed, no call does anything any more. With `error`
    it does not crash: that one call fails, as on a broken disk.
    """

    NAMES = ("pwritev", "pwrite", "fdatasync", "fsync", "ftruncate", "rename")

    def __init__(self, crash_at=None, how="before"):
        self.taken = []
        self._crash_at = crash_at
        self._how = how
        self._patch = pytest.MonkeyPatch()
        self._duplicates = []
        self._volatile = []  # (inode, what undoes the call), in the order of the calls

    def __enter__(self):
        for name in self.NAMES:
            self._patch.setattr(os, name, self._watched(name, getattr(os, name)))
        return self

    def __exit__(self, *exc):
        self._patch.undo()
        if self._how == "power" and len(self.taken) <= self._crash_at:
            self._lose_power()
        for fd in self._duplicates:
            os.close(fd)

    def _watched(self, name, call):
        def step(*arguments, **named):
            number = len(self.taken)
            self.taken.append(name)
            if number == self._crash_at:
                self._crash(name, call, arguments, named)
            elif self._crash_at is None or number < self._crash_at or self._how == "error":
                self._note(name, arguments)
                return call(*arguments, **named)
            raise CrashedError

        return step

    def _crash(self, name, call, arguments, named):
        match self._how:
            case "error":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            case "after":
                call(*arguments, **named)
            case "torn" if name == "pwritev":
                fd, chunks, offset = arguments
                content = b"".join(chunks)
                call(fd, [content[: len(content) // 2]], offset)
            case "power":
                self._patch.undo()
                self._lose_power()

    def _lose_power(self):
        for _, undo in reversed(self._volatile):
            undo()

    def _note(self, name, arguments):
        match name, arguments:
            case (("fdatasync" | "fsync"), (fd,)):
                synced = os.fstat(fd).st_ino
                self._volatile = [one for one in self._volatile if one[0] != synced]
            case "pwritev", (fd, _, offset):
                self._keep(fd, lambda same: os.ftruncate(same, offset))
            case "ftruncate", (fd, length):
                tail = os.pread(fd, os.fstat(fd).st_size, length)
                self._keep(fd, lambda same: os.pwrite(same, tail, length))
            case "rename", (Path() as old, Path() as new):
                inode = old.parent.stat().st_ino
                self._volatile.append((inode, lambda: new.rename(old)))

    def _keep(self, fd, undo):
        same = os.dup(fd)  # whatever the file is called by then
        self._duplicates.append(same)
        self._volatile.append((os.fstat(fd).st_ino, lambda: undo(same)))
