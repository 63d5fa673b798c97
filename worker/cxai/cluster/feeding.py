"""Feeds an export: lines of a source become entries of its queue, each ID once.

A line is in the database before its source may let go of it. So a feeder can be killed at any
moment and started again: what comes twice counts as a duplicate.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cxai.cluster.books import Books, Taken
from cxai.core.entry import Entry, Skip
from cxai.core.figures import counted
from cxai.core.ports import Source
from cxai.core.room import Room
from cxai.errors import CxaiError, ExitCode


@dataclass(slots=True)
class Fed:
    """What a source has fed into an export.

    `lines` = `queued` + `duplicates` + `settled` + `invalid` + `blanks` + `comments`; those queued
    are new IDs, and IDs whose verdict was not final. `stopped_by` is None if the source ended.
    """

    lines: int = 0
    queued: int = 0
    duplicates: int = 0
    settled: int = 0
    invalid: int = 0
    blanks: int = 0
    comments: int = 0
    allow_empty: bool = False
    stopped_by: CxaiError | None = None

    def count(self, items: Sequence[Entry | Skip], taken: Taken) -> None:
        """Count a block of lines, and what the database says of its entries."""
        self.lines += len(items)
        self.blanks += items.count(Skip.BLANK)
        self.comments += items.count(Skip.COMMENT)
        self.invalid += taken.invalid
        self.queued += taken.fresh + taken.requeued
        self.duplicates += taken.duplicates
        self.settled += taken.settled

    @property
    def exit_code(self) -> ExitCode:
        """What the process returns: 2 for an input without an ID, 4 if it was stopped."""
        if self.stopped_by is not None:
            return self.stopped_by.exit_code
        has_ids = self.queued or self.duplicates or self.settled
        return ExitCode.FINISHED if has_ids or self.allow_empty else ExitCode.USAGE

    @property
    def headline(self) -> str:
        """How it ended, in a sentence."""
        if self.stopped_by is not None:
            return f"Stopped early: {self.stopped_by}"
        if self.exit_code is ExitCode.USAGE:
            return f"Not one of {counted(self.lines, 'lines')} is a valid ID: exit code 2."
        return f"Enqueued: {counted(self.queued, 'IDs')}."

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        names = ("lines", "queued", "duplicates", "settled", "invalid", "blanks", "comments")
        return {
            "headline": self.headline,
            "exit_code": int(self.exit_code),
            **{name: getattr(self, name) for name in names},
        }

    def text(self) -> str:
        """Return it for people."""
        parts = [
            (self.queued, "queued"),
            (self.duplicates, "duplicates"),
            (self.settled, "settled before"),
            (self.invalid, "invalid"),
            (self.blanks, "blank"),
            (self.comments, "comments"),
        ]
        shown = " + ".join(f"{n:,} {what}" for n, what in parts if n) or "0"
        return f"{self.headline}\n  {counted(self.lines, 'lines')} = {shown}"


async def feed(source: Source, books: Books, room: Room, fed: Fed) -> None:
    """Feed all that `source` yields into an export, counting in `fed`.

    `room` is the patience with a database that can't be reached. Raises InputBrokenError when the
    rest can't be read, BlockedError when patience is over, and what the books raise.
    """
    async with contextlib.aclosing(source.batches()) as batches:
        async for items in batches:
            entries = [item for item in items if isinstance(item, Entry)]
            taken = await room.wait_for(lambda entries=entries: books.enqueue(entries))  # type: ignore[misc]
            fed.count(items, taken)
            await source.acknowledge(entries)
