"""Files and standard input as a source of IDs."""

import errno
import os
import re
import stat
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from io import FileIO
from pathlib import Path

from cxai.core.entry import IdRule, Item
from cxai.errors import InputBrokenError, UsageError
from cxai.sources.chunks import chunks_of, without_bom
from cxai.sources.compression import DamagedError, decompressed
from cxai.sources.feed import Feed
from cxai.sources.formats import STDIN_NAME, without_foreign
from cxai.sources.jsonl import items_of_jsonl
from cxai.sources.kind import Kind
from cxai.sources.lines import KEPT
from cxai.sources.look import Look
from cxai.sources.table import items_of_table
from cxai.sources.text import items_of_text

STDIN = "-"

_TABLES = (".csv", ".tsv")
_JSON_LINES = (".jsonl", ".ndjson")
_COMPRESSED = (".gz", ".zst")

_Version = tuple[int, int, int, int]

# RFC 3986, 3.1; one letter alone is a drive of Windows, and no scheme that anyone uses.
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/")


class FileSource:
    """Files of interaction IDs, one after the other: text, CSV or JSON Lines.

    `paths` may hold `-` once, for standard input; none at all stands for it, too; `~` is expanded.
    A name that ends in .csv or .tsv is CSV, .jsonl or .ndjson is JSON Lines, before a .gz or .zst
    as well; any other, and standard input, is text. `column` makes all of them CSV and names the
    column of the IDs, `field` makes all of them JSON Lines and names the field. gzip and zstd are
    recognized by their content.

    Raises UsageError if these contradict each other. Nothing is opened before `check` or `blocks`.
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
        self.paths = tuple(os.path.expanduser(path) for path in paths) or (STDIN,)  # noqa: PTH111
        self._rule = rule
        self._column = column
        self._field = field
        self._versions: dict[str, _Version | None] = {}  # as the look has found them, by path
        self._begun: dict[int, tuple[list[list[Item]], Generator[list[Item], None, None]]] = {}

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
        self._check_secrets()
        try:
            for path in self.paths:
                _check_path(path)
            _check_distinct(self.paths)
            for index, path in enumerate(self.paths):
                self._look(index, path, allow_empty=allow_empty)
        except UsageError as error:
            self._close()
            if self._rule.secrets.are_in(str(error)):
                raise UsageError(
                    "The input holds the API token where IDs, or their field's name, should be."
                    " Take it out; it is not shown here."
                ) from None
            raise

    def blocks(self) -> Generator[list[Item], None, None]:
        """Yield every line once, in order, in the lists in which they arrive; blocks on reads.

        Raises InputBrokenError when the rest can't be read, or was changed since `check` (or since
        it was opened, without that): lines may be missing then; and UsageError for
        another format or CSV without the column; all of them after all items before.
        """
        try:
            for index, path in enumerate(self.paths):
                if index in self._begun:
                    kept, rest = self._begun.pop(index)
                    yield from kept
                    kept.clear()
                    yield from rest
                else:
                    yield from self._read(path)
        finally:
            self._close()

    def batches(self) -> AsyncGenerator[list[Item], None]:
        """Yield the same from a thread of its own, in batches; see Feed."""
        return Feed(self.blocks()).batches()

    def _read(
        self, path: str, look: Look | None = None, *, return_to_start: bool = False
    ) -> Generator[list[Item], None, None]:
        name = _name(path)
        try:
            raw = opened(path)
        except OSError as error:
            raise InputBrokenError(f"{name} can't be opened: {error.strerror}.{KEPT}") from error
        with raw, _unmoved(raw) if return_to_start else nullcontext():
            version = self._versions.get(path, _version(raw))
            chunks = without_bom(decompressed(_not_nothing(chunks_of(raw), path)))
            if look is not None:
                version = self._versions[path] = _version(raw)
                chunks = look.watched(chunks)
            yield from self._items(path, without_foreign(chunks, name))
            if version != _version(raw):
                raise InputBrokenError(
                    f"{name} was changed while it was read, so lines may be missing.{KEPT}"
                )

    def _items(self, path: str, chunks: Iterator[bytes]) -> Iterator[list[Item]]:
        name = _name(path)
        match self._kind(path):
            case Kind.CSV:
                return items_of_table(chunks, name, self._rule, self._column)
            case Kind.JSON_LINES:
                return items_of_jsonl(chunks, name, self._rule, self._field)
            case Kind.TEXT:
                return items_of_text(chunks, name, self._rule)

    def _kind(self, path: str) -> Kind:
        form = path.lower().removesuffix(".gz").removesuffix(".zst")
        if self._column is not None or (self._field is None and form.endswith(_TABLES)):
            return Kind.CSV
        is_jsonl = self._field is not None or form.endswith(_JSON_LINES)
        return Kind.JSON_LINES if is_jsonl else Kind.TEXT

    def _look(self, index: int, path: str, *, allow_empty: bool) -> None:
        """Read up to the first ID; keep that for `blocks` if it can't be read again."""
        look = Look(_name(path), self._kind(path), self._rule)
        is_file = _is_regular(path)
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

    def _check_secrets(self) -> None:
        given = [*self.paths, self._column or "", self._field or ""]
        if any(map(self._rule.secrets.are_in, given)):
            raise UsageError(
                "The name of an input, a column or a field holds the API token. It is not shown"
                " here, but may be in your shell's history."
            )

    def _close(self) -> None:
        for _, rest in self._begun.values():
            rest.close()
        self._begun.clear()


def _check_path(path: str) -> None:
    """Raise UsageError for what can't be an input by its name or by its kind of file."""
    name = _name(path)
    if (url := _URL.match(path)) is not None:
        raise UsageError(
            f"{name} is a URL. {url['scheme']}:// is not supported as an input: download it, or"
            f" pipe it into standard input ({STDIN})."
        )
    try:
        mode = _status(path).st_mode
        if path != STDIN and not (stat.S_ISDIR(mode) or os.access(path, os.R_OK)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(
            f"{name} can't be read: {why}."
            f" Name files that exist and may be read, or {STDIN} for standard input."
        ) from error
    if stat.S_ISDIR(mode):
        raise UsageError(f"{name} is a directory. Name the files in it.")
    if stat.S_ISSOCK(mode) and path != STDIN:
        raise UsageError(f"{name} is a socket. Name a file, or pipe its output into {STDIN}.")
    if stat.S_ISBLK(mode):
        raise UsageError(f"{name} is a disk. Name a file on it.")


def _check_distinct(paths: Sequence[str]) -> None:
    """Raise UsageError for a pipe that is named twice: two readers would cut its lines apart."""
    seen: dict[tuple[int, int], str] = {}
    for path in paths:
        status = _status(path)
        if not (stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode)):
            continue
        place = status.st_dev, status.st_ino
        if place in seen:
            raise UsageError(
                f"{_name(seen[place])} and {_name(path)} are the same pipe, which can be read only"
                " once. Name it once."
            )
        seen[place] = path


def _status(path: str) -> os.stat_result:
    return os.fstat(0) if path == STDIN else Path(path).stat()


def _is_regular(path: str) -> bool:
    return stat.S_ISREG(_status(path).st_mode)


def _version(raw: FileIO) -> _Version | None:
    """Return what changes when a file is written to or replaced; None for what is no file."""
    status = os.fstat(raw.fileno())
    if not stat.S_ISREG(status.st_mode):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _name(path: str) -> str:
    return STDIN_NAME if path == STDIN else path


def _not_nothing(chunks: Iterator[bytes], path: str) -> Iterator[bytes]:
    """Yield the chunks. Raises DamagedError if there is none where compressed data should be.

    Compressed data is never empty, whatever it holds: whoever should have written it has failed.
    """
    first = next(chunks, b"")
    if not first and path.lower().endswith(_COMPRESSED):
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


def opened(path: str) -> FileIO:
    """Open a file, or standard input for `-`, for reading. Raises OSError."""
    # Unbuffered: what is in a pipe arrives at once, and no lock of a buffer is held at exit.
    return FileIO(0, closefd=False) if path == STDIN else FileIO(path)
