"""Files and standard input as a source of IDs."""

import os
import stat
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from io import FileIO

from cxai.core.entry import Entry, IdRule, SourceItem
from cxai.errors import InputBrokenError, UsageError
from cxai.sources.chunks import chunks_of, without_bom
from cxai.sources.compression import DamagedError, decompressed, is_compressed
from cxai.sources.foreign import without_foreign
from cxai.sources.formats import Layout
from cxai.sources.look import Look
from cxai.sources.options import SourceOptions
from cxai.sources.paths import (
    STDIN,
    check_distinct,
    check_readable,
    expanded,
    is_regular,
    name_of,
    opened,
)
from cxai.sources.threaded_reader import ThreadedReader

_Version = tuple[int, int, int, int]


def open_source(names: Sequence[str], options: SourceOptions) -> "FileSource":
    """Return the source of files, looked at as far as the first ID. Raises UsageError."""
    if options.until_idle_s is not None:
        raise UsageError(
            "--until-idle (until_idle_s) is for queues: files and standard input have an end."
        )
    source = FileSource(names, options.rule, column=options.column, field=options.field)
    source.check(allow_empty=options.allow_empty)
    return source


class FileSource:
    """Files of interaction IDs, one after the other: text, CSV or JSON Lines.

    `paths` may hold `-` once, for standard input; none at all stands for it, too; `~` is expanded.
    A name that ends in .csv or .tsv is CSV, .jsonl or .ndjson is JSON Lines, before a .gz or .zst
    as well; any other, and standard input, is text. `column` makes all of them CSV and names the
    column of the IDs, `field` makes all of them JSON Lines and names the field. gzip and zstd are
    recognized by their content.

    Raises UsageError if these contradict each other. Nothing is opened before `check` or `blocks`.
    """

    is_queue = False

    def __init__(
        self,
        paths: Sequence[str],
        rule: IdRule,
        *,
        column: str | None = None,
        field: str | None = None,
    ) -> None:
        if paths.count(STDIN) > 1:
            raise UsageError(f"{STDIN} is given twice: standard input can be read only once.")
        self._paths = expanded(paths)
        self._rule = rule
        self._layout = Layout(column, field)
        self._versions: dict[str, _Version | None] = {}  # as the look has found them, by path
        self._begun: dict[
            int, tuple[list[list[SourceItem]], Generator[list[SourceItem], None, None]]
        ] = {}

    def check(self, *, allow_empty: bool = False) -> None:
        """Look at the beginning of each input, up to its first ID.

        Raises UsageError, naming the input and what to do, for one that can't be used: it does not
        exist, may not be read or is a directory, is in another format, is CSV without the column,
        or its first lines hold no ID (so many, or all if there are fewer: cxai/sources/look.py).
        One that holds no lines at all, or only blank ones and comments, is refused, too, unless
        `allow_empty`.

        From a pipe that waits for the first ID, or for enough lines without one; what was read is
        kept for `blocks`. Of a file everything is read again.
        """
        try:
            for path in self._paths:
                check_readable(path)
            check_distinct(self._paths)
            for index, path in enumerate(self._paths):
                self._look(index, path, allow_empty=allow_empty)
        except UsageError as error:
            self._close()
            if self._rule.secrets.are_in(str(error)):
                raise UsageError(
                    "The input holds the API token where IDs, or their field's name, should be."
                    " Take it out; it is not shown here."
                ) from None
            raise

    def blocks(self) -> Generator[list[SourceItem], None, None]:
        """Yield every line once, in order, in the lists in which they arrive; blocks on reads.

        Raises InputBrokenError when the rest can't be read, or was changed since `check` (or since
        it was opened, without that): lines may be missing then; and UsageError for
        another format or CSV without the column; all of them after all items before.
        """
        try:
            for index, path in enumerate(self._paths):
                if index in self._begun:
                    kept, rest = self._begun.pop(index)
                    yield from kept
                    kept.clear()
                    yield from rest
                else:
                    yield from self._read(path)
        finally:
            self._close()

    def batches(self) -> AsyncGenerator[list[SourceItem], None]:
        """Yield the same from a thread of its own, in batches; see ThreadedReader."""
        return ThreadedReader(self.blocks()).batches()

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Do nothing: a file keeps its lines, and the ledger knows which of them are settled."""

    def _read(
        self, path: str, look: Look | None = None, *, return_to_start: bool = False
    ) -> Generator[list[SourceItem], None, None]:
        name = name_of(path)
        try:
            raw = opened(path)
        except OSError as error:
            raise InputBrokenError(f"{name} can't be opened: {error.strerror}.") from error
        with raw, _unmoved(raw) if return_to_start else nullcontext():
            version = self._versions.get(path, _version(raw))
            chunks = without_bom(decompressed(_not_nothing(chunks_of(raw), path)))
            if look is not None:
                version = self._versions[path] = _version(raw)
                chunks = look.watched(chunks)
            yield from self._items(path, without_foreign(chunks, name))
            if version != _version(raw):
                raise InputBrokenError(
                    f"{name} was changed while it was read, so lines may be missing."
                )

    def _items(self, path: str, chunks: Iterator[bytes]) -> Iterator[list[SourceItem]]:
        layout = self._layout
        return layout.format_of(path).items(chunks, name_of(path), self._rule, layout.place)

    def _look(self, index: int, path: str, *, allow_empty: bool) -> None:
        """Read up to the first ID; keep that for `blocks` if it can't be read again."""
        look = Look(name_of(path), self._layout.format_of(path), self._rule)
        is_file = is_regular(path)
        rest = self._read(path, look, return_to_start=is_file)
        try:
            kept = look.to_first_id(rest, allow_empty=allow_empty)
        except BaseException:
            rest.close()
            raise
        if is_file:
            rest.close()
        else:
            self._begun[index] = (kept, rest)

    def _close(self) -> None:
        for _, rest in self._begun.values():
            rest.close()
        self._begun.clear()


def _version(raw: FileIO) -> _Version | None:
    """Return what changes when a file is written to or replaced; None for what is no file."""
    status = os.fstat(raw.fileno())
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _not_nothing(chunks: Iterator[bytes], path: str) -> Iterator[bytes]:
    """Yield the chunks. Raises DamagedError if there is none where compressed data should be.

    Compressed data is never empty, whatever it holds: whoever should have written it has failed.
    """
    first = next(chunks, b"")
    if not first and is_compressed(path):
        raise DamagedError("it is empty, which compressed data never is")
    if first:
        yield first
        yield from chunks


@contextmanager
def _unmoved(raw: FileIO) -> Iterator[None]:
    """Go back to where it was: some systems' /dev/stdin shares its position with ours."""
    start = raw.tell()
    try:
        yield
    finally:
        raw.seek(start)
