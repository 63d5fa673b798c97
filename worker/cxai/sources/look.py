"""The look at an input before the run, for whether there is an ID in it at all."""

from collections.abc import Iterator

from cxai.core.entry import IS_SECRET, Entry, IdRule, SourceItem
from cxai.errors import InputBrokenError, UsageError
from cxai.sources.formats import Format
from cxai.sources.header import ColumnMissingError
from cxai.sources.hints import binary_hint, column_hint, first_lines

# An input is refused when so many lines came before the first ID: refused ones, or any with the
# blank ones and comments, or bytes without a line.
_REFUSED = 200
_LINES = 100_000
_BYTES = 64 << 20

# From so much of it a hint is made.
_HEAD_BYTES = 1 << 20


class Look:
    """One look at one input, up to its first ID."""

    def __init__(self, name: str, form: Format, rule: IdRule) -> None:
        self._name = name
        self._format = form
        self._rule = rule
        self._is_over = False
        self._head = b""
        self._bytes = 0

    def watched(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the chunks of the input; while the look lasts, what they begin with is kept."""
        for chunk in chunks:
            if not self._is_over:
                self._bytes += len(chunk)
                if len(self._head) < _HEAD_BYTES:
                    self._head += chunk
                if self._bytes > _BYTES:
                    raise UsageError(
                        f"{self._name}: there is no ID in the first {_BYTES >> 20} MiB."
                        f" {self._hint()}"
                    )
            yield chunk

    def to_first_id(
        self, blocks: Iterator[list[SourceItem]], *, allow_empty: bool
    ) -> list[list[SourceItem]]:
        """Return the blocks up to the one with the first ID.

        Raises UsageError if there is none, with what to give instead.
        """
        kept: list[list[SourceItem]] = []
        refused: list[Entry] = []
        lines = 0
        try:
            for block in blocks:
                kept.append(block)
                lines += len(block)
                entries = [item for item in block if isinstance(item, Entry)]
                if any(entry.invalid is None for entry in entries):
                    self._head = b""
                    return kept
                refused += entries
                if len(refused) >= _REFUSED or lines >= _LINES:
                    break
            else:
                if not refused:
                    return self._empty(kept, lines, allow_empty=allow_empty)
        except InputBrokenError as error:
            raise UsageError(f"{error.why} No ID stands before that: nothing was begun.") from error
        except ColumnMissingError as error:
            raise UsageError(f"{error} {column_hint(self._head, self._rule)}".rstrip()) from None
        finally:
            self._is_over = True
        raise self._no_id(refused[:_REFUSED], lines)

    def _empty(
        self, kept: list[list[SourceItem]], lines: int, *, allow_empty: bool
    ) -> list[list[SourceItem]]:
        if allow_empty:
            return kept
        why = f"it has {lines:,} lines, all blank or comments" if lines else "it is empty"
        if lines == 1:
            why = "its only line is blank or a comment"
        raise UsageError(
            f"{self._name} holds no ID: {why}. If that is no mistake, give --allow-empty."
        )

    def _no_id(self, refused: list[Entry], lines: int) -> UsageError:
        if not refused:
            return UsageError(f"{self._name}: the first {lines:,} lines are blank or comments.")
        for entry in refused:
            if entry.invalid == IS_SECRET:
                return UsageError(
                    f"{self._name}: line {entry.line:,} holds the API token, and no line before it"
                    " an ID. The token is not shown here; name a file with IDs."
                )
        first = refused[0]
        looked_at = (
            f"the first {len(refused)} lines"
            if len(refused) >= _REFUSED
            else f"its {len(refused)} lines"
        )
        which = (
            "its only line is no ID" if len(refused) == 1 else f"not one of {looked_at} is an ID"
        )
        return UsageError(
            f"{self._name}: {which}; line {first.line:,}, '{first.id}', {first.invalid}."
            f" {self._hint()}"
        )

    def _hint(self) -> str:
        return binary_hint(self._head) or self._format.hint(first_lines(self._head), self._rule)
