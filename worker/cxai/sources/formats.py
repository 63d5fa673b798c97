"""The text formats of inputs. A new one is a line in FORMATS."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cxai.core.entry import IdRule, SourceItem
from cxai.errors import UsageError
from cxai.sources.compression import CODINGS
from cxai.sources.hints import hint_for_json_lines, hint_for_table, hint_for_text
from cxai.sources.jsonl import items_of_jsonl
from cxai.sources.table import items_of_table
from cxai.sources.text import items_of_text

ItemReader = Callable[[Iterator[bytes], str, IdRule, str | None], Iterator[list[SourceItem]]]
Hint = Callable[[Sequence[bytes], IdRule], str]


@dataclass(frozen=True, slots=True)
class Format:
    """A text format.

    Its file names end in one of `endings`, in lower case. `items(chunks, name, rule, place)` yields
    an item for each line; `place` is Layout.place. `hint(lines, rule)` returns suggestions, perhaps
    none, for lines without any ID.
    """

    endings: tuple[str, ...]
    items: ItemReader
    hint: Hint


TEXT = Format((), items_of_text, hint_for_text)
TABLE = Format((".csv", ".tsv"), items_of_table, hint_for_table)
JSON_LINES = Format((".jsonl", ".ndjson"), items_of_jsonl, hint_for_json_lines)

FORMATS = (TABLE, JSON_LINES)


@dataclass(frozen=True, slots=True)
class Layout:
    """The layout of all inputs: CSV if there is a `column`, JSON Lines if there is a `field`."""

    column: str | None = None
    field: str | None = None

    def __post_init__(self) -> None:
        if self.column is not None and self.field is not None:
            raise UsageError(
                "--column is for CSV and --field for JSON Lines. Use only one of them."
            )

    @property
    def place(self) -> str | None:
        """The column or field of the ID, None for the usual one."""
        return self.field if self.column is None else self.column

    def format_of(self, path: str) -> Format:
        """Return the format of a file, by its name if there is neither column nor field."""
        if self.column is not None:
            return TABLE
        if self.field is not None:
            return JSON_LINES
        name = path.lower()
        for coding in CODINGS:
            name = name.removesuffix(coding.ending)
        return next((one for one in FORMATS if name.endswith(one.endings)), TEXT)
