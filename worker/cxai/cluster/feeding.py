"""Feeds an export: lines of a source become entries of its queue, each ID once.

A line is in the database before it is acknowledged, so a feeder can be killed at any moment: lines
that come twice count as duplicates.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cxai.cluster.books import Books
from cxai.cluster.rows import Enqueued
from cxai.core.entry import Entry, IgnoredLine
from cxai.core.figures import counted
from cxai.core.ports import Source
from cxai.core.room import Room
from cxai.errors import CxaiError, ExitCode


@dataclass(slots=True)
class FeedReport:
    """What a source has added to an export.

    `lines` = `new` + `duplicates` + `blanks` + `comments`. Of the duplicates, `settled` have a
    final verdict, and `requeued` are IDs that are queued again since their verdict was not final.
    `invalid` lines hold no ID: they get their verdict without a request. `stopped_by` is None if
    the source was read to its end. `fed`: the input of the export was marked as complete.
    """

    allow_empty: bool = False
    fed: bool = False
    lines: int = 0
    new: int = 0
    duplicates: int = 0
    settled: int = 0
    requeued: int = 0
    invalid: int = 0
    blanks: int = 0
    comments: int = 0
    stopped_by: CxaiError | None = None

    def count(self, items: Sequence[Entry | IgnoredLine], added: Enqueued) -> None:
        """Count a block of lines, and the result of adding its entries."""
        self.lines += len(items)
        self.blanks += items.count(IgnoredLine.BLANK)
        self.comments += items.count(IgnoredLine.COMMENT)
        self.invalid += sum(isinstance(one, Entry) and one.invalid is not None for one in items)
        self.new += added.fresh
        self.duplicates += added.duplicates
        self.settled += sum(added.settled.values())
        self.requeued += sum(added.requeued.values())

    @property
    def ids(self) -> int:
        """Lines that hold an ID."""
        return self.new + self.duplicates - self.invalid

    @property
    def exit_code(self) -> ExitCode:
        """The exit code: 2 for an input without an ID, 4 if it was stopped."""
        if self.stopped_by is not None:
            return self.stopped_by.exit_code
        return ExitCode.FINISHED if self.ids or self.allow_empty else ExitCode.USAGE

    @property
    def headline(self) -> str:
        """How it ended, in a sentence."""
        if self.stopped_by is not None:
            return f"Stopped early: {self.stopped_by} Exit code {int(self.exit_code)}."
        if self.exit_code is ExitCode.USAGE:
            what = "no line is a valid ID" if self.invalid else "the input holds no ID"
            return f"Nothing to retrieve: {what}. Exit code 2."
        queued = self.new - self.invalid + self.requeued
        what = f"Enqueued {counted(max(0, queued), 'IDs')} to be retrieved." if self.lines else ""
        if self.fed:
            return f"{what} The input is complete.".lstrip()
        return what or "The input is empty."

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        names = ("lines", "new", "duplicates", "settled", "requeued", "invalid")
        return {
            "headline": self.headline,
            "exit_code": int(self.exit_code),
            **{name: getattr(self, name) for name in (*names, "blanks", "comments", "fed")},
        }

    def text(self) -> str:
        """Return it for people."""
        parts = [(self.new, "new"), (self.duplicates, "duplicates")]
        parts += [(self.blanks, "blank"), (self.comments, "comments")]
        shown = " + ".join(counted(n, what) for n, what in parts if n)
        lines = [f"  {counted(self.lines, 'lines')} = {shown}"] if self.lines else []
        details = [
            (self.settled, "with a final verdict already"),
            (self.requeued, "queued again since their verdict was not final"),
            (self.invalid, "without a valid ID, which will be listed in failures"),
        ]
        return "\n".join([self.headline, *lines, *(f"  {n:,} {what}" for n, what in details if n)])


async def feed(source: Source, books: Books, room: Room, fed: FeedReport) -> None:
    """Feed all that `source` yields into an export, counting in `fed`.

    `room` bounds the wait for a database that can't be reached. Raises what source, room and books
    raise.
    """
    async with contextlib.aclosing(source.batches()) as batches:
        async for items in batches:
            entries = [item for item in items if isinstance(item, Entry)]
            added = await room.wait_for(partial(books.enqueue, entries))
            fed.count(items, added)
            await source.acknowledge(entries)
