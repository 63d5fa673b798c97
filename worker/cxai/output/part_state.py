"""What a part is, as values: its state, what a commit appends to it, and its name."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from cxai.output.compression import SUFFIX, Compression


@dataclass(frozen=True, slots=True)
class PartState:
    """What the ledger has of a part: `bytes` and `records` committed, and their SHA-256.

    `released_at` is when `cxai prune` released its file, None while the file is required. `run_id`
    is the run that finished the part, by its own end or because of the part's age, whichever runs
    wrote the rows; None before. From then on the part never changes.
    """

    set: str
    number: int
    bytes: int = 0
    records: int = 0
    sha256: str = hashlib.sha256().hexdigest()
    sealed: bool = False
    released_at: str | None = None
    run_id: str | None = None

    @property
    def is_released(self) -> bool:
        """Whether `cxai prune` released its file, which may be gone then."""
        return self.released_at is not None

    def as_sealed(self) -> "PartState":
        """Return the same part, sealed."""
        return replace(self, sealed=True)

    def following(self) -> "PartState":
        """Return the part that is written after this one, still empty."""
        return PartState(self.set, self.number + 1)


@dataclass(frozen=True, slots=True)
class Extent:
    """What one commit appends to a part, and the part's state with it."""

    offset: int
    crc32: int
    after: PartState


OPEN = ".open"
"""The suffix of a part that is not sealed yet."""


def part_name(state: PartState, compression: Compression) -> str:
    """Return the name of the part's file, which ends with `.open` until it is sealed."""
    final = f"{state.set}-{state.number:06d}.jsonl{SUFFIX[compression]}"
    return final if state.sealed else f"{final}{OPEN}"


def part_pattern(sets: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern of the names of parts of these sets, open or sealed.

    Nothing else is a part: a number of eight digits is a date, and such a file is the user's.
    """
    return re.compile(rf"({_any_of(sets)})-\d{{6,7}}\.jsonl(\.gz|\.zst)?(\.open)?")


def lookalike_pattern(sets: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern of the names that a loader's `records-*.jsonl*` may match, parts or not."""
    return re.compile(rf"({_any_of(sets)}).*\.jsonl.*", re.IGNORECASE | re.DOTALL)


def _any_of(sets: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(sets)))
