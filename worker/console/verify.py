"""`cxai verify`: every byte of an export held against its ledger.

It reads the files as any other program would, and shares no code with what writes them.
"""

import gzip
import hashlib
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from worker.domain.entry import key_of
from worker.domain.records import FAILURES, INTERACTIONS, RECORDS
from worker.domain.verdict import Verdict
from worker.errors import UsageError
from worker.ledger.seen import Seen
from worker.ledger.sqlite import LEDGER_NAME, Database
from worker.output.directory import OutputDirectory

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_MOST_PROBLEMS = 100

_SUFFIX: Mapping[str, str] = {"none": "", "gzip": ".gz", "zstd": ".zst"}
_UNPACK: Mapping[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.decompress,
    "zstd": zstd.decompress,
}


@dataclass(slots=True)
class Findings:
    """What `verify` found: nothing is wrong if `problems` is empty. Counts are of what was read.

    No more than a hundred problems are kept; `more` counts the rest.
    """

    directory: Path
    parts: int = 0
    lines: int = 0
    bytes: int = 0
    problems: list[str] = field(default_factory=list)
    more: int = 0

    def add(self, problem: str) -> None:
        """Keep a problem."""
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)
        else:
            self.more += 1

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "directory": str(self.directory),
            "intact": not self.problems,
            "parts": self.parts,
            "lines": self.lines,
            "bytes": self.bytes,
            "problems": self.problems,
            "more_problems": self.more,
        }

    def text(self) -> str:
        """Return it for people."""
        read = f"{self.lines:,} lines in {self.parts:,} parts, {self.bytes:,} bytes"
        if not self.problems:
            return f"{self.directory} is intact: {read}."
        more = [f"  … and {self.more:,} more"] if self.more else []
        problems = [f"  {problem}" for problem in self.problems]
        return "\n".join([f"{self.directory} is DAMAGED ({read}):", *problems, *more])


@dataclass(frozen=True, slots=True)
class _Part:
    set: str
    number: int
    bytes: int
    records: int
    sha256: str
    sealed: bool


def verify_export(path: Path) -> Findings:
    """Read every part of the export in `path` and hold it against the ledger.

    Checked are each part's size, SHA-256 and number of lines; that each line is JSON; that each
    record's ID has the verdict `ok` and no other record, and that each `ok` has its record.
    Raises UsageError if there is no export or if a run owns it.
    """
    if not (path / LEDGER_NAME).exists():
        raise UsageError(f"{path} holds no export (there is no {LEDGER_NAME} in it).")
    findings = Findings(path)
    with OutputDirectory(path, create=False), Database(path / LEDGER_NAME) as ledger:
        if ledger.is_new:
            return findings
        with Seen(path) as seen:
            _verify_parts(ledger, findings, seen)
    return findings


def _verify_parts(ledger: Database, findings: Findings, seen: Seen) -> None:
    _, _, _, compression = ledger.rows("read_export").fetchone()
    with_record = 0
    for row_of_part in ledger.rows("read_parts").fetchall():
        part = _Part(*row_of_part)
        if not part.bytes:
            continue
        for line in _lines(ledger, findings, part, compression):
            row = _row(findings, part, line)
            if row is not None and part.set != FAILURES:
                with_record += _check_record(ledger, findings, part, row, seen)
    expected = dict(ledger.rows("count_verdicts")).get(Verdict.OK.value, 0)
    if with_record != expected:
        findings.add(f"{expected:,} IDs have the verdict ok, but {with_record:,} have a record.")


def _lines(ledger: Database, findings: Findings, part: _Part, compression: str) -> Iterator[bytes]:
    """Yield the lines of a part, extent by extent: what one commit wrote is read at a time."""
    name = f"{part.set}-{part.number:06d}.jsonl{_SUFFIX[compression]}"
    path = findings.directory / (name if part.sealed else f"{name}.open")
    try:
        file = path.open("rb")
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
        for content in _extents(ledger, findings, part, file):
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


def _extents(ledger: Database, findings: Findings, part: _Part, file: BinaryIO) -> Iterator[bytes]:
    extents = ledger.rows("read_extents", {"set": part.set, "number": part.number}).fetchall()
    ends = [*(offset for offset, _ in extents[1:]), part.bytes]
    for (offset, crc32), end in zip(extents, ends, strict=True):
        content = file.read(end - offset)
        if zlib.crc32(content) != crc32:
            findings.add(
                f"{Path(file.name).name}: bytes {offset:,} to {end:,} are not what was written."
            )
        yield content


def _unpacked(findings: Findings, name: str, content: bytes, compression: str) -> Iterator[bytes]:
    try:
        text = _UNPACK[compression](content)
    except (OSError, EOFError, zlib.error, zstd.ZstdError) as error:
        findings.add(f"{name}: can't be decompressed: {error}.")
        return
    yield from text.removesuffix(b"\n").split(b"\n")


def _row(findings: Findings, part: _Part, line: bytes) -> dict[str, Any] | None:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        row = None
    if isinstance(row, dict) and isinstance(row.get("interaction_id"), str):
        return row
    findings.add(f"{part.set}, part {part.number}: a line is no record: {line[:60]!r}")
    return None


def _check_record(
    ledger: Database, findings: Findings, part: _Part, row: Mapping[str, Any], seen: Seen
) -> bool:
    """Return whether the row is the one record of an ID with the verdict ok."""
    interaction_id = row["interaction_id"]
    key = key_of(interaction_id)
    verdict = ledger.rows("read_verdict", (key,)).fetchone()
    if verdict != (Verdict.OK.value,):
        findings.add(
            f"{part.set}, part {part.number}: a row for {interaction_id[:64]}, whose verdict is"
            f" {verdict[0] if verdict else 'none'}."
        )
        return False
    if part.set not in (RECORDS, INTERACTIONS):
        return False
    if not seen.add(key):
        findings.add(f"{part.set}, part {part.number}: a second record for {interaction_id[:64]}.")
        return False
    return True
