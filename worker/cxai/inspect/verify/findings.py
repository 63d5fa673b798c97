"""What `cxai verify` found, the exit code for it, and what to do about it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from cxai.core.entry import Entry
from cxai.core.figures import counted, verb
from cxai.core.text import printable
from cxai.errors import ExitCode

_MOST_PROBLEMS = 100
_MOST_EXAMPLES = 10


class Advice(StrEnum):
    """What to do about a kind of problem. `DIR` is shown as the directory of the export."""

    RESTORE = (
        "Don't load it. Restore these files from a backup; or move damaged parts out of the"
        " directory and fetch their IDs again: run the same `cxai run` command with"
        " --reopen-missing. If the ledger is damaged, export the IDs again into a new directory."
    )
    MOVE = (
        "Move the files that are not cxai's out of the directory: a loader that reads by pattern"
        " would load them, too."
    )
    REWRITE = (
        "Don't rely on manifest.json. Run the same `cxai run` command again: it rewrites the file"
        " from the ledger."
    )
    MISSING = (
        "Don't load it. Put the missing files back. If they were loaded and deleted on purpose,"
        " release them: `cxai prune DIR --missing`. If they are lost, fetch their IDs again: run"
        " the same `cxai run` command with --reopen-missing."
    )
    RESTORE_OBJECTS = (
        "Don't load it. Restore these objects from a backup, or from an earlier version if the"
        " bucket keeps them; or export the IDs again, under another name and destination."
    )
    MOVE_OBJECTS = (
        "Move the objects that are not in the ledger elsewhere: a loader that reads by prefix would"
        " load them, too. If the database was restored to an earlier point, restore a later state"
        " instead."
    )
    REPORT = "Keep the directory as it is, and report this as a bug in cxai."


_DAMAGE = frozenset({Advice.RESTORE, Advice.MISSING, Advice.RESTORE_OBJECTS})

_RESUME = "Don't load it yet: run the same `cxai run` command again, then verify again."
_FINISH_SHARED = (
    "Don't load it as a whole yet: feed what is missing, let workers finish it"
    " (`cxai run URL --until-settled`), then verify again."
)
_RUN_INPUT = "Don't load it yet: run `cxai run` with this input, then verify again."


@dataclass(slots=True)
class Findings:
    """What `verify` found: the exit code is 0 only if nothing is wrong and nothing is missing.

    The export is in `directory`, or at `place` if that is not a directory. `problems` contradict
    the ledger (a hundred at most are kept; `more` counts the rest), `unfinished` is what a run has
    still to do, `notes` are for information only. `parts`, `lines` and `bytes` count what was read,
    `released` the parts that `cxai prune` released, which are not read, `asked` the lines of the
    input, `missing` those of them without a verdict, of which ten `examples` are kept. `open_parts`
    has the number of lines in each part that is not finished.
    """

    directory: Path
    parts: int = 0
    released: int = 0
    lines: int = 0
    bytes: int = 0
    asked: int = 0
    missing: int = 0
    examples: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    more: int = 0
    advice: dict[Advice, None] = field(default_factory=dict)
    unfinished: list[str] = field(default_factory=list)
    open_parts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    last_run: dict[str, Any] | None = None
    place: str = ""

    def add(self, problem: str, advice: Advice = Advice.RESTORE) -> None:
        """Add a problem, and what to do about it."""
        self.advice[advice] = None
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)
        else:
            self.more += 1

    def miss(self, entry: Entry) -> None:
        """Count a line of the input that has no verdict."""
        self.missing += 1
        if len(self.examples) < _MOST_EXAMPLES:
            self.examples.append(f"{entry.source}, line {entry.line}: {entry.id}")

    @property
    def _where(self) -> str:
        return printable(self.place or self.directory)

    @property
    def is_complete(self) -> bool:
        """Whether a run has nothing left to do, whatever is wrong with the files."""
        return not (self.missing or self.unfinished)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the process: damage takes precedence over what is missing."""
        if self.problems:
            return ExitCode.INTEGRITY
        return ExitCode.FINISHED if self.is_complete else ExitCode.STOPPED

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "directory": self._where,
            "exit_code": int(self.exit_code),
            "intact": not self.problems,
            "complete": self.is_complete,
            "parts": self.parts,
            "released_parts": self.released,
            "open_parts": self.open_parts,
            "lines": self.lines,
            "bytes": self.bytes,
            "input_lines": self.asked,
            "missing": self.missing,
            "missing_examples": self.examples,
            "unfinished": self.unfinished,
            "problems": self.problems,
            "more_problems": self.more,
            "notes": self.notes,
            "advice": [*self._advice, *([] if self.is_complete else [self._finish])],
            "last_run": self.last_run,
        }

    def text(self) -> str:
        """Return it for people."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        where = self._where
        if self.problems:
            is_damaged = not _DAMAGE.isdisjoint(self.advice)
            what = "is DAMAGED" if is_damaged else "does NOT MATCH its ledger"
            yield f"{where} {what} ({self._read}):"
            yield from _listed(self.problems, self.more)
            yield from (f"  {advice}" for advice in self._advice)
            if not self.is_complete:
                yield "  It is also INCOMPLETE:"
        elif self.is_complete:
            yield f"{where} is intact: {self._read}."
        else:
            yield f"{where} is intact, but INCOMPLETE ({self._read}):"
        yield from self._incomplete()
        yield from (f"  Note: {note}" for note in self.notes)

    def _incomplete(self) -> Iterator[str]:
        if self.missing:
            lines, have = counted(self.missing, "lines"), verb(self.missing, "have")
            yield f"  {lines} of the input {have} no verdict:"
            yield from _listed(self.examples, self.missing - len(self.examples), "    ")
        yield from (f"  {what}" for what in self.unfinished)
        if not self.is_complete:
            yield f"  {self._finish}"

    @property
    def _advice(self) -> list[str]:
        return [advice.replace("DIR", self._where) for advice in self.advice]

    @property
    def _finish(self) -> str:
        if self.place:
            return _FINISH_SHARED
        return _RUN_INPUT if self.missing and not self.unfinished else _RESUME

    @property
    def _read(self) -> str:
        lines, parts = counted(self.lines, "lines"), counted(self.parts, "parts")
        read = f"{lines} in {parts}, {counted(self.bytes, 'bytes')}"
        if self.released:
            read += f"; {counted(self.released, 'parts')} released, not read"
        if self.asked:
            read += f"; {counted(self.asked, 'lines')} of the input"
        return read


def _listed(lines: Sequence[str], more: int, indent: str = "  ") -> Iterator[str]:
    yield from (f"{indent}{line}" for line in lines)
    if more:
        yield f"{indent}… and {more:,} more"
