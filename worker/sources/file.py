"""Files and standard input as a source of IDs."""

import errno
import os
import re
import stat
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from itertools import chain, islice
from pathlib import Path

from worker.domain.entry import Entry, IdRule, Item
from worker.errors import InputBrokenError, UsageError
from worker.sources.chunks import chunks_of, without_bom
from worker.sources.compression import DamagedError, decompressed
from worker.sources.feed import Feed
from worker.sources.jsonl import DEFAULT_FIELD, items_of_jsonl
from worker.sources.table import DEFAULT_COLUMN, items_of_table
from worker.sources.text import items_of_text

STDIN = "-"

_TABLES = (".csv", ".tsv")
_JSON_LINES = (".jsonl", ".ndjson")

# What is often taken for one of our formats. None of it can begin a file of IDs.
_FOREIGN: Mapping[str, re.Pattern[bytes]] = {
    "UTF-16 text": re.compile(rb"\xff\xfe[^\0]\0|\xfe\xff\0[^\0]"),
    "a ZIP archive or a spreadsheet": re.compile(rb"PK\x03\x04"),
    "xz data": re.compile(rb"\xfd7zXZ\0"),
    "bzip2 data": re.compile(rb"BZh[1-9]1AY&SY"),
}

# So many lines, if there are as many, are looked at before the run.
_LOOK = 200
_SURE = 100

# More than a header row or a long line takes.
_CHECKED_CHUNKS = 32


class FileSource:
    """Files of interaction IDs, one after the other: text, CSV or JSON Lines.

    `paths` may hold `-` once, for standard input; none at all stands for it, too. A name that
    ends in .csv or .tsv is CSV, .jsonl or .ndjson is JSON Lines, before a .gz or .zst as well; any
    other, and standard input, is text. `column` makes all of them CSV and names the column of the
    IDs, `field` makes all of them JSON Lines and names the field. gzip and zstd are recognised by
    their content.

    Raises UsageError if these contradict each other. Nothing is opened before it is read.
    """

    def __init__(
        self,
        paths: Sequence[str],
        rule: IdRule,
        *,
        column: str | None = None,
        field: str | None = None,
    ) -> None:
        if column is not None and field is not None:
            raise UsageError("--column is for CSV and --field for JSON Lines: give one of them.")
        if paths.count(STDIN) > 1:
            raise UsageError(f"{STDIN} is given twice: standard input can be read only once.")
        self._paths = tuple(paths) or (STDIN,)
        self._rule = rule
        self._column = column
        self._field = field

    def check(self) -> None:
        """Raise UsageError, naming the file and what to do, for an input that can't be used.

        That is one that does not exist, may not be read or is a directory; a regular file also if
        it is in another format, is CSV without the column, or has a hundred lines and no ID in
        them. Takes nothing from a pipe.
        """
        for path in self._paths:
            name = _name(path)
            try:
                mode = (os.fstat(0) if path == STDIN else Path(path).stat()).st_mode
                if stat.S_ISREG(mode) and path != STDIN:
                    self._check_content(path)
                elif path != STDIN and not os.access(path, os.R_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            except OSError as error:
                raise UsageError(
                    f"{name} can't be read: {error.strerror}."
                    f" Name files that exist and may be read, or {STDIN} for standard input."
                ) from error
            if stat.S_ISDIR(mode):
                raise UsageError(f"{name} is a directory. Name the files in it.")

    def blocks(self) -> Generator[list[Item], None, None]:
        """Yield every line once, in order, in the lists in which they arrive; blocks on reads.

        Raises InputBrokenError when the rest can't be read, and UsageError for CSV without the
        column, both after all items before.
        """
        for path in self._paths:
            name = _name(path)
            try:
                raw = opened(path)
            except OSError as error:
                raise InputBrokenError(
                    f"{name} can't be opened: {error.strerror}."
                    " What stood before is kept; run the same command again."
                ) from error
            with raw:
                yield from self._items(path, without_bom(decompressed(chunks_of(raw))))

    def batches(self) -> AsyncGenerator[list[Item], None]:
        """Yield the same from a thread of its own, in batches; see Feed."""
        return Feed(self.blocks()).batches()

    def _items(self, path: str, chunks: Iterator[bytes]) -> Iterator[list[Item]]:
        name = _name(path)
        form = path.lower().removesuffix(".gz").removesuffix(".zst")
        if self._column is not None or (self._field is None and form.endswith(_TABLES)):
            return items_of_table(chunks, name, self._rule, self._column or DEFAULT_COLUMN)
        if self._field is not None or form.endswith(_JSON_LINES):
            return items_of_jsonl(chunks, name, self._rule, self._field or DEFAULT_FIELD)
        return items_of_text(chunks, name, self._rule)

    def _check_content(self, path: str) -> None:
        with opened(path) as raw, _unmoved(raw), suppress(DamagedError, InputBrokenError):
            chunks = without_bom(decompressed(islice(chunks_of(raw), _CHECKED_CHUNKS)))
            head = next(chunks, b"")
            for what, beginning in _FOREIGN.items():
                if beginning.match(head):
                    raise UsageError(
                        f"{path} is {what}. Give text, CSV or JSON Lines in UTF-8,"
                        " as it is or compressed with gzip or zstd."
                    )
            first = list(
                islice(chain.from_iterable(self._items(path, chain((head,), chunks))), _LOOK)
            )
            entries = [item for item in first if isinstance(item, Entry)]
            if len(entries) >= _SURE and all(entry.invalid for entry in entries):
                raise UsageError(
                    f"{path}: not one of the first {len(entries)} lines is an ID; line"
                    f" {entries[0].line}, {entries[0].id!r}, {entries[0].invalid}."
                    " CSV needs --column, JSON Lines --field, other IDs --id-pattern."
                )


def _name(path: str) -> str:
    return "<stdin>" if path == STDIN else path


@contextmanager
def _unmoved(raw: FileIO) -> Iterator[None]:
    """Go back to where it was: some systems' /dev/stdin shares its position with ours."""
    start = raw.tell()
    try:
        yield
    finally:
        raw.seek(start)


def opened(path: str) -> FileIO:
    """Open a file, or standard input for `-`, for reading. Raises OSError."""
    # Unbuffered: what is in a pipe arrives at once, and no lock of a buffer is held at exit.
    return FileIO(0, closefd=False) if path == STDIN else FileIO(path)
