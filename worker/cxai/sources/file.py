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
from cxai.sources.preview import Preview
from cxai.sources.threaded_reader import ThreadedReader

_Version = tuple[int, int, int, int]


def open_source(names: Sequence[str], options: SourceOptions) -> "FileSource":
    """Return the source of files, checked up to the first ID of each. Raises UsageError."""
    if options.until_idle_s is not None:
        raise UsageError(
            "--until-idle (until_idle_s) is for queues only, not for files or standard input."
        )
    source = FileSource(names, options.rule, column=options.column, field=options.field)
    source.check(allow_empty=options.allow_empty)
    return source


class FileSource:
    """Files of interaction IDs, read one after the other: text, CSV or JSON Lines.

    `paths` may contain `-` once, for standard input, which is also the default; `~` is expanded.
    Formats follow from the names (formats.Layout), codings from the content. `column` makes all of
    them CSV and names the column of the IDs; `field` makes all of them JSON Lines and names the
    field.

    Raises UsageError if these contradict each other. Opens nothing before `check` or `blocks`.
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
        self._versions: dict[str, _Version | None] = {}  # when previewed, by path
        self._previewed: dict[
            int, tuple[list[list[SourceItem]], Generator[list[SourceItem], None, None]]
        ] = {}

    def check(self, *, allow_empty: bool = False) -> None:
        """Check the beginning of each input, up to its first ID.

        Raises UsageError, with the input and the remedy, for one that can't be read, is in another
        format, or has no ID in its first lines (within the limits of preview.py). One without
        lines, or with only blank lines and comments, is refused unless `allow_empty`.

        On a pipe, this blocks until the first ID or a limit; `blocks` then yields what was read.
        A file is read again from its start.
        """
        try:
            for path in self._paths:
                check_readable(path)
            check_distinct(self._paths)
            for index, path in enumerate(self._paths):
                self._preview(index, path, allow_empty=allow_empty)
        except UsageError as error:
            self._close()
            if self._rule.secrets.are_in(str(error)):
                raise UsageError(
                    "The input contains the API token in place of an ID or a field name. Remove it;"
                    " it is not shown here."
                ) from None
            raise

    def blocks(self) -> Generator[list[SourceItem], None, None]:
        """Yield every line once, in order, in blocks as they arrive; reads block.

        Raises, after all preceding items, InputBrokenError if the rest can't be read or the file
        has changed since `check` (else since it was opened), and UsageError as `check` does.
        """
        try:
            for index, path in enumerate(self._paths):
                if index in self._previewed:
                    kept, rest = self._previewed.pop(index)
                    yield from kept
                    kept.clear()
                    yield from rest
                else:
                    yield from self._read(path)
        finally:
            self._close()

    def batches(self) -> AsyncGenerator[list[SourceItem], None]:
        return ThreadedReader(self.blocks()).batches()

    async def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Do nothing: a file keeps its lines, and the ledger records which are settled."""

    def _read(
        self, path: str, preview: Preview | None = None, *, return_to_start: bool = False
    ) -> Generator[list[SourceItem], None, None]:
        name = name_of(path)
        try:
            raw = opened(path)
        except OSError as error:
            raise InputBrokenError(f"{name} can't be opened: {error.strerror}.") from error
        with raw, _position_kept(raw) if return_to_start else nullcontext():
            version = self._versions.get(path, _version(raw))
            chunks = without_bom(decompressed(_never_empty(chunks_of(raw), path)))
            if preview is not None:
                version = self._versions[path] = _version(raw)
                chunks = preview.watched(chunks)
            items, place = self._layout.format_of(path).items, self._layout.place
            yield from items(without_foreign(chunks, name), name, self._rule, place)
            if version != _version(raw):
                raise InputBrokenError(
                    f"{name} changed while it was being read, so lines may be missing."
                )

    def _preview(self, index: int, path: str, *, allow_empty: bool) -> None:
        """Read up to the first ID; keep that for `blocks` if it can't be read again."""
        preview = Preview(name_of(path), self._layout.format_of(path), self._rule)
        is_file = is_regular(path)
        rest = self._read(path, preview, return_to_start=is_file)
        try:
            kept = preview.to_first_id(rest, allow_empty=allow_empty)
        except BaseException:
            rest.close()
            raise
        if is_file:
            rest.close()
        else:
            self._previewed[index] = (kept, rest)

    def _close(self) -> None:
        for _, rest in self._previewed.values():
            rest.close()
        self._previewed.clear()


def _version(raw: FileIO) -> _Version | None:
    """Return values that change when a file is written or replaced; None if it is not a file."""
    status = os.fstat(raw.fileno())
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _never_empty(chunks: Iterator[bytes], path: str) -> Iterator[bytes]:
    """Yield the chunks. Raises DamagedError if there is none, but the name is of compressed data.

    Compressing no data at all still writes a header, so the program that wrote it has failed.
    """
    first = next(chunks, b"")
    if not first and is_compressed(path):
        raise DamagedError("it is empty, but compressed data never is")
    if first:
        yield first
        yield from chunks


@contextmanager
def _position_kept(raw: FileIO) -> Iterator[None]:
    """Restore the position: on some systems /dev/stdin shares it with standard input."""
    start = raw.tell()
    try:
        yield
    finally:
        raw.seek(start)
