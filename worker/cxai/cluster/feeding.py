"""Feeds an export: lines of a source become entries of its queue, each ID once.

A line is in the database before its source may let go of it. So a feeder can be killed at any
moment and started again: what comes twice counts as a duplicate.
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
    """What a source has fed into an export.

    `lines` = `new` + `duplicates` + `blanks` + `comments`. `new` were not known; of the duplicates,
    `settled` have a final verdict, and `requeued` IDs, whose verdict was not final, are queued
    again. `invalid` lines hold no ID: they get their verdict without a request. `stopped_by` is
    None if the source came to its end.
    """

    allow_empty: bool = False
    lines: int = 0
    new: int = 0
    duplicates: int = 0
    settled: int = 0
    requeued: int = 0
    invalid: int = 0
    blanks: int = 0
    comments: int = 0
    stopped_by: CxaiError | None = None

    def count(self, items: Sequence[Entry | IgnoredLine], taken: Enqueued) -> None:
        """Count a block of lines, and what the database says of its entries."""
        self.lines += len(items)
        self.blanks += items.count(IgnoredLine.BLANK)
        self.comments += items.count(IgnoredLine.COMMENT)
        self.invalid += sum(isinstance(one, Entry) and one.invalid is not None for one in items)
        self.new += taken.fresh
        self.duplicates += taken.duplicates
        self.settled += sum(taken.settled.values())
        self.requeued += sum(taken.requeued.values())

    @property
    def ids(self) -> int:
        """Lines that hold an ID."""
        return self.new + self.duplicates - self.invalid

    @property
    def exit_code(self) -> ExitCode:
        """What the process returns: 2 for an input without an ID, 4 if it was stopped."""
        if self.stopped_by is not None:
            return self.stopped_by.exit_code
        return ExitCode.FINISHED if self.ids or self.allow_empty else ExitCode.USAGE

    @property
    def headline(self) -> str:
        """How it ended, in a sentence."""
        if self.stopped_by is not None:
            return f"Stopped early: {self.stopped_by} Exit code {int(self.exit_code)}."
        if self.exit_code is ExitCode.USAGE:
            what = "the input holds no ID" if not self.invalid else "not one line is a valid ID"
            return f"Enqueued, but {what}: exit code 2."
        if not self.lines:
            return "Noted: nothing more is to come."
        queued = self.new - self.invalid + self.requeued
        return f"Enqueued: {counted(max(0, queued), 'IDs')} to be retrieved."

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        names = ("lines", "new", "duplicates", "settled", "requeued", "invalid")
        return {
            "headline": self.headline,
            "exit_code": int(self.exit_code),
            **{name: getattr(self, name) for name in (*names, "blanks", "comments")},
        }

    def text(self) -> str:
        """Return it for people."""
        parts = [
            (self.new, "new"),
            (self.duplicates, "duplicates"),
            (self.blanks, "blank"),
            (self.comments, "comments"),
        ]
        shown = " + ".join(counted(n, what) for n, what in parts if n) or "0"
        more = [
            f"  {what}: {n:,}"
            for n, what in (
                (self.settled, "with a final verdict already"),
                (self.requeued, "queued again, since their verdict was not final"),
                (self.invalid, "without a valid ID, to be listed with the failures"),
            )
            if n
        ]
        return "\n".join([self.headline, f"  {counted(self.lines, 'lines')} = {shown}", *more])


async def feed(source: Source, books: Books, room: Room, fed: FeedReport) -> None:
    """Feed all that `source` yields into an export, counting in `fed`.

    `room` is the patience with a database that can't be reached. Raises InputBrokenError when the
    rest can't be read, BlockedError when patience is over, and what the books raise.
    """
    async with contextlib.aclosing(source.batches()) as batches:
        async for items in batches:
            entries = [item for item in items if isinstance(item, Entry)]
            taken = await room.wait_for(partial(books.enqueue, entries))
            fed.count(items, taken)
            await source.acknowledge(entries)
