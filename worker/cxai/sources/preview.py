"""Checks, before a run, that an input contains an ID at all."""

from collections.abc import Iterator

from cxai.core.entry import IS_SECRET, Entry, IdRule, SourceItem
from cxai.errors import InputBrokenError, UsageError
from cxai.sources.formats import Format
from cxai.sources.header import ColumnMissingError
from cxai.sources.hints import binary_hint, column_hint, first_lines

# An input is refused when this many rejected lines, lines of any kind, or bytes precede an ID.
_MOST_REJECTED = 200
_MOST_LINES = 100_000
_MOST_BYTES = 64 << 20

# Suggestions are made from the beginning of the input.
_HEAD_BYTES = 1 << 20


class Preview:
    """Reads one input up to its first ID."""

    def __init__(self, name: str, form: Format, rule: IdRule) -> None:
        self._name = name
        self._format = form
        self._rule = rule
        self._is_over = False
        self._head = b""
        self._bytes = 0

    def watched(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the chunks of the input, and keep its beginning until the preview is over."""
        for chunk in chunks:
            if not self._is_over:
                self._bytes += len(chunk)
                if len(self._head) < _HEAD_BYTES:
                    self._head += chunk
                if self._bytes > _MOST_BYTES:
                    size = f"{_MOST_BYTES >> 20} MiB"
                    raise UsageError(
                        f"{self._name} contains no ID in the first {size}. {self._hint()}"
                    )
            yield chunk

    def to_first_id(
        self, blocks: Iterator[list[SourceItem]], *, allow_empty: bool
    ) -> list[list[SourceItem]]:
        """Return the blocks up to the first ID. Raises UsageError, with a hint, without one."""
        kept: list[list[SourceItem]] = []
        rejected: list[Entry] = []
        lines = 0
        try:
            for block in blocks:
                kept.append(block)
                lines += len(block)
                entries = [item for item in block if isinstance(item, Entry)]
                if any(entry.invalid is None for entry in entries):
                    self._head = b""
                    return kept
                rejected += entries
                if len(rejected) >= _MOST_REJECTED or lines >= _MOST_LINES:
                    break
            else:
                if not rejected and not allow_empty:
                    raise self._empty(lines)
                if not rejected:
                    return kept
        except InputBrokenError as error:
            raise UsageError(f"{error.why} No ID came before that, so nothing started.") from error
        except ColumnMissingError as error:
            hint = column_hint(self._head, self._rule)
            raise UsageError(f"{error.found} {hint}") from None
        finally:
            self._is_over = True
        raise self._no_id(rejected[:_MOST_REJECTED], lines)

    def _empty(self, lines: int) -> UsageError:
        why = f"all {lines:,} lines are blank or comments" if lines else "it is empty"
        if lines == 1:
            why = "its only line is blank or a comment"
        return UsageError(
            f"{self._name} contains no ID: {why}. If that is expected, use --allow-empty."
        )

    def _no_id(self, rejected: list[Entry], lines: int) -> UsageError:
        if not rejected:
            return UsageError(f"{self._name}: the first {lines:,} lines are blank or comments.")
        for entry in rejected:
            if entry.invalid == IS_SECRET:
                return UsageError(
                    f"{self._name}: line {entry.line:,} contains the API token, and no line before"
                    " it is an ID. The token is not shown here. Name a file of IDs."
                )
        first, count = rejected[0], len(rejected)
        which = f": none of the first {count} lines is an ID"
        if count < _MOST_REJECTED:
            which = f": none of its {count} lines is an ID" if count > 1 else " contains no ID"
        return UsageError(
            f"{self._name}{which}. Line {first.line:,}, '{first.id}', {first.invalid}."
            f" {self._hint()}"
        )

    def _hint(self) -> str:
        return binary_hint(self._head) or self._format.hint(first_lines(self._head), self._rule)
