"""`cxai verify`: every byte of an export held against its ledger.

It reads the files as any other program would, and shares no code with what writes them.
"""

import gzip
import hashlib
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from worker.console.damage import differing_byte
from worker.console.report import counted, printable
from worker.domain.entry import Entry, Item, key_of
from worker.domain.records import FAILURES, INTERACTIONS, RECORDS
from worker.domain.verdict import Verdict
from worker.errors import ExitCode
from worker.ledger.form import ExportForm, read_form
from worker.ledger.seen import Seen
from worker.ledger.sqlite import Database
from worker.output.contents import LEDGER_NAME, require_export
from worker.output.directory import OutputDirectory
from worker.output.manifest import MANIFEST_NAME
from worker.output.parts import PART_NAME

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_MOST_PROBLEMS = 100
_MOST_EXAMPLES = 10

_ADVICE = (
    "  Don't load it. Restore the named files from a copy, or export these IDs into a new"
    " directory."
)

_SUFFIX: Mapping[str, str] = {"none": "", "gzip": ".gz", "zstd": ".zst"}
_UNPACK: Mapping[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.decompress,
    "zstd": zstd.decompress,
}


@dataclass(slots=True)
class Findings:
    """What `verify` found: nothing is wrong if `problems` is empty.

    Counts are of what was read, `asked` of lines of the input, `missing` of those without a verdict
    (no damage: a run has not come to them yet), of which ten `examples` are kept. No more than a
    hundred problems are kept; `more` counts the rest.
    """

    directory: Path
    parts: int = 0
    lines: int = 0
    bytes: int = 0
    asked: int = 0
    missing: int = 0
    examples: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    more: int = 0

    def add(self, problem: str) -> None:
        """Keep a problem."""
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
    def exit_code(self) -> ExitCode:
        """What the process tells its caller; damage weighs more than what is missing."""
        if self.problems:
            return ExitCode.INTEGRITY
        return ExitCode.STOPPED if self.missing else ExitCode.FINISHED

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "directory": printable(self.directory),
            "intact": not self.problems,
            "complete": None if not self.asked else not self.missing,
            "parts": self.parts,
            "lines": self.lines,
            "bytes": self.bytes,
            "input_lines": self.asked,
            "missing": self.missing,
            "missing_examples": self.examples,
            "problems": self.problems,
            "more_problems": self.more,
        }

    def text(self) -> str:
        """Return it for people."""
        read = f"{self.lines:,} lines in {self.parts:,} parts, {self.bytes:,} bytes"
        if self.asked:
            read += f"; {self.asked:,} lines of the input"
        where = printable(self.directory)
        if self.problems:
            lines = [f"{where} is DAMAGED ({read}):", *_listed(self.problems, self.more), _ADVICE]
            if self.missing:
                lines.append(f"  Besides, {self._without_verdict}.")
            return "\n".join(lines)
        if self.missing:
            more = self.missing - len(self.examples)
            first = f"{where} is intact, but INCOMPLETE: {self._without_verdict}: run it again"
            return "\n".join([first, *_listed(self.examples, more)])
        return f"{where} is intact: {read}."

    @property
    def _without_verdict(self) -> str:
        have = "has" if self.missing == 1 else "have"
        return f"{counted(self.missing, 'lines')} of the input {have} no verdict"


def _listed(lines: Sequence[str], more: int) -> list[str]:
    return [f"  {line}" for line in lines] + ([f"  … and {more:,} more"] if more else [])


@dataclass(frozen=True, slots=True)
class _Part:
    set: str
    number: int
    bytes: int
    records: int
    sha256: str
    sealed: bool
    released_at: str | None


def verify_export(path: Path, expected: Iterable[Sequence[Item]] = ()) -> Findings:
    """Read every part of the export in `path` and hold it against the ledger.

    `expected` are blocks of an input: those of its lines that have no verdict are counted, too.

    Checked are the ledger's own pages; each part's size, SHA-256 and number of lines; that each
    line is JSON; that each record's ID has the verdict `ok` and no other record, that each `ok` has
    its record and each other verdict its line in the failures; that there is no part which the
    ledger doesn't know, and that the manifest tells of no other content.
    Raises UsageError if there is no export or if a run owns it.
    """
    require_export(path)
    findings = Findings(path)
    with (
        OutputDirectory(path, create=False, purpose="verify"),
        Database(path / LEDGER_NAME) as ledger,
    ):
        for (problem,) in ledger.rows("check_integrity"):
            if problem != "ok":
                findings.add(f"{LEDGER_NAME}: {problem}")
        known = {} if ledger.is_new else _verify_export(ledger, findings)
        _look_up(ledger, findings, expected)
        killed = ledger.is_new or _was_killed(ledger)
    _verify_names(findings, known)
    _verify_manifest(findings, known, expected=not killed)
    return findings


def _verify_export(ledger: Database, findings: Findings) -> dict[str, _Part]:
    """Verify what the ledger knows; return its parts by the names of their files."""
    form = read_form(ledger, findings.directory)
    compression = form.compression.value
    known = {}
    for row_of_part in ledger.rows("read_parts").fetchall():
        part = _Part(*row_of_part)
        name = f"{part.set}-{part.number:06d}.jsonl{_SUFFIX[compression]}"
        known[name if part.sealed else f"{name}.open"] = part
    with Seen(findings.directory) as seen:
        _verify_lines(ledger, findings, known, form, seen)
    return known


def _verify_lines(
    ledger: Database, findings: Findings, known: dict[str, _Part], form: ExportForm, seen: Seen
) -> None:
    with_record = listed = invalid = 0
    for name, part in known.items():
        if part.released_at is not None or not (part.bytes or part.sealed):
            continue
        for line in _lines(ledger, findings, name, part, form.compression.value):
            row = _row(findings, part, line)
            if row is None:
                continue
            if part.set != FAILURES:
                with_record += _check_record(ledger, findings, part, row, seen)
            elif row.get("verdict") == Verdict.INVALID_ID:
                invalid += 1
            else:
                listed += _is_its_verdict(ledger, findings, part, row, seen)
    counts = dict(ledger.rows("count_verdicts_here", {"main_set": form.record_sets[0]}))
    ok = counts.pop(Verdict.OK.value, 0)
    if with_record != ok:
        findings.add(f"{ok:,} IDs have the verdict ok, but {with_record:,} have a record.")
    if invalid < counts.pop(Verdict.INVALID_ID.value, 0):
        findings.add("Invalid lines of the input are missing in the failures.")
    if listed != sum(counts.values()):
        findings.add(
            f"{sum(counts.values()):,} IDs have another verdict than ok, but {listed:,} are listed"
            " with it in the failures."
        )


def _is_its_verdict(
    ledger: Database, findings: Findings, part: _Part, row: Mapping[str, Any], seen: Seen
) -> bool:
    """Whether a failure tells the verdict that its ID has now, and is the first to tell it."""
    key = key_of(row["interaction_id"])
    verdict = ledger.rows("read_verdict", (key,)).fetchone()
    if verdict is None:
        shown = _shown(row["interaction_id"])
        findings.add(f"{part.set}, part {part.number}: a row for {shown}, whose verdict is none.")
    return verdict == (row.get("verdict"),) and seen.add(key)


def _look_up(ledger: Database, findings: Findings, expected: Iterable[Sequence[Item]]) -> None:
    """Look each line of the input up, whether it has come out as a verdict."""
    empty = ledger.is_new
    for block in expected:
        for item in block:
            if isinstance(item, Entry):
                findings.asked += 1
                if empty or ledger.rows("read_verdict", (item.key,)).fetchone() is None:
                    findings.miss(item)


def _verify_names(findings: Findings, known: Mapping[str, _Part]) -> None:
    released = {name for name, part in known.items() if part.released_at is not None}
    copies = {name + suffix for name in released for suffix in _SUFFIX.values()}
    for name in sorted(os.listdir(findings.directory)):  # noqa: PTH208 - names
        if PART_NAME.fullmatch(name) and name not in known and name not in copies:
            findings.add(f"{name}: the ledger knows no such part, but a loader would read it.")


def _was_killed(ledger: Database) -> bool:
    *_, (_, _, _, _, ended, *_) = ledger.rows("read_runs")
    return ended is None


def _verify_manifest(findings: Findings, known: Mapping[str, _Part], *, expected: bool) -> None:
    """Hold the manifest, which the last orderly end of a run wrote, against the ledger."""
    try:
        listed = orjson.loads((findings.directory / MANIFEST_NAME).read_bytes())["parts"]
        for entry in listed:
            part = known.get(entry["file"])
            if part is None or entry["sha256"] != part.sha256 or entry["bytes"] != part.bytes:
                findings.add(f"{MANIFEST_NAME}: {entry['file']} is not what the ledger has.")
    except FileNotFoundError:
        if expected:
            findings.add(f"{MANIFEST_NAME}: is missing.")
    except (OSError, orjson.JSONDecodeError, LookupError, TypeError):
        findings.add(f"{MANIFEST_NAME}: is not a manifest.")


def _lines(
    ledger: Database, findings: Findings, name: str, part: _Part, compression: str
) -> Iterator[bytes]:
    """Yield the lines of a part, extent by extent: what one commit wrote is read at a time."""
    path = findings.directory / name
    try:
        file = open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")  # noqa: SIM115, PTH123
    except OSError as error:
        findings.add(f"{path.name}: {error.strerror}; {part.records:,} lines are missing.")
        return
    findings.parts += 1
    lines = 0
    with file:
        size = os.fstat(file.fileno()).st_size
        if size < part.bytes or (part.sealed and size != part.bytes):
            findings.add(f"{path.name}: {size:,} bytes, but the ledger has {part.bytes:,}.")
        sha256 = hashlib.sha256()
        for content in _extents(ledger, findings, name, part, file):
            sha256.update(content)
            findings.bytes += len(content)
            for line in _unpacked(findings, path.name, content, compression):
                lines += 1
                yield line
    findings.lines += lines
    if sha256.hexdigest() != part.sha256:
        findings.add(f"{path.name}: its SHA-256 is not the ledger's.")
    if lines != part.records:
        findings.add(f"{path.name}: {lines:,} lines, but the ledger has {part.records:,}.")


def _extents(
    ledger: Database, findings: Findings, name: str, part: _Part, file: BinaryIO
) -> Iterator[bytes]:
    extents = ledger.rows("read_extents", {"set": part.set, "number": part.number}).fetchall()
    ends = [*(offset for offset, _ in extents[1:]), part.bytes]
    for (offset, crc32), end in zip(extents, ends, strict=False):
        content = file.read(end - offset)
        if zlib.crc32(content) != crc32:
            damage = f"{name}: bytes {offset:,} to {end:,} are not what was written"
            findings.add(damage + _differing_byte(content, offset, end, crc32) + ".")
        yield content


def _differing_byte(content: bytes, offset: int, end: int, crc32: int) -> str:
    if len(content) != end - offset or (found := differing_byte(content, crc32)) is None:
        return ""
    at, was = found
    return f"; byte {offset + at:,} differs: it is 0x{content[at]:02x} and was 0x{was:02x}"


def _unpacked(findings: Findings, name: str, content: bytes, compression: str) -> Iterator[bytes]:
    try:
        text = _UNPACK[compression](content)
    except (OSError, EOFError, zlib.error, zstd.ZstdError) as error:
        findings.add(f"{name}: can't be decompressed: {error}.")
        return
    if text:  # an empty part is an empty member or frame
        yield from text.removesuffix(b"\n").split(b"\n")


def _row(findings: Findings, part: _Part, line: bytes) -> dict[str, Any] | None:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        row = None
    if isinstance(row, dict) and isinstance(row.get("interaction_id"), str):
        return row
    findings.add(f"{part.set}, part {part.number}: a line is no row: {_shown(line[:60])}")
    return None


def _check_record(
    ledger: Database, findings: Findings, part: _Part, row: Mapping[str, Any], seen: Seen
) -> bool:
    """Return whether the row is the one record of an ID with the verdict ok."""
    key = key_of(row["interaction_id"])
    verdict = ledger.rows("read_verdict", (key,)).fetchone()
    if verdict != (Verdict.OK.value,):
        findings.add(
            f"{part.set}, part {part.number}: a row for {_shown(row['interaction_id'])},"
            f" whose verdict is {verdict[0] if verdict else 'none'}."
        )
        return False
    if part.set not in (RECORDS, INTERACTIONS):
        return False
    if not seen.add(key):
        findings.add(
            f"{part.set}, part {part.number}: a second record for {_shown(row['interaction_id'])}."
        )
        return False
    return True


def _shown(value: bytes | str) -> str:
    """Return what stands in a file as text that no terminal takes for a command."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "?" for c in value[:64])
