"""What a part is, as values: its state, what a commit appends to it, and its name."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from cxai.output.compression import SUFFIX, Compression


@dataclass(frozen=True, slots=True)
class PartState:
    """What the ledger knows of a part: `bytes` and `records` committed, and their SHA-256.

    `released_at` is when `cxai prune` released its file, None while the file has to be there.
    `run_id` is of the run that finished it: the first that came to an orderly end with the part in
    it, or sealed it by its age, whichever runs wrote its rows; None before. From then on the part
    never changes.
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
        """Whether `cxai prune` released its file, so that it may be gone."""
        return self.released_at is not None

    def as_sealed(self) -> "PartState":
        """Return the same part, sealed."""
        return replace(self, sealed=True)

    def unsealed(self) -> "PartState":
        """Return the same part, open."""
        return replace(self, sealed=False)

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
"""Ends the name of a part that is not sealed yet."""


def part_name(state: PartState, compression: Compression) -> str:
    """Return the file's name: with `.open` at its end until it is sealed."""
    final = f"{state.set}-{state.number:06d}.jsonl{SUFFIX[compression]}"
    return final if state.sealed else f"{final}{OPEN}"


def part_pattern(sets: Iterable[str]) -> re.Pattern[str]:
    """Return what matches the name of a part of any of these sets, open or sealed.

    Nothing else in a directory is taken for a part. A number of eight digits is a date, and such a
    file is the user's.
    """
    return re.compile(rf"({_any_of(sets)})-\d{{6,7}}\.jsonl(\.gz|\.zst)?(\.open)?")


def lookalike_pattern(sets: Iterable[str]) -> re.Pattern[str]:
    """Return what matches each name that a loader's `records-*.jsonl*` might, whatever wrote it."""
    return re.compile(rf"({_any_of(sets)}).*\.jsonl.*", re.IGNORECASE | re.DOTALL)


def _any_of(sets: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(sets)))
