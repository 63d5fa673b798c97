"""The parts that a run is writing, one of each set, and their directory."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cxai.ledger.disk_failure import stopping_for_good
from cxai.output.compression import Compression
from cxai.output.directory import OutputDirectory
from cxai.output.part_state import Extent, PartState, part_name
from cxai.output.parts import OpenPart


class OpenParts:
    """The open part of each set, by the name of the set. Raises OSError as the system does."""

    def __init__(
        self, directory: OutputDirectory, parts: Mapping[str, OpenPart], compression: Compression
    ) -> None:
        self.directory = directory
        self._parts = dict(parts)
        self._compression = compression
        self._names_are_new = False  # of parts that were begun, until the directory is synced
        self._was_cut = False  # and the cut is not known to be durable

    def __iter__(self) -> Iterator[OpenPart]:
        return iter(self._parts.values())

    def state(self, part_set: str) -> PartState:
        """Return what is committed of the open part of a set."""
        return self._parts[part_set].state

    def append(self, lines: Mapping[str, Sequence[bytes]]) -> list[Extent]:
        """Write lines, by set, after what is committed; they are not durable before `sync`."""
        self._names_are_new |= any(not self._parts[name].is_open for name in lines)
        return [self._parts[name].append(lines[name]) for name in lines]

    def sync(self, sets: Iterable[str]) -> None:
        """Make what was written to the parts of these sets durable, and the names of new ones."""
        if self._names_are_new:
            self.directory.sync()
            self._names_are_new = False
        for name in sets:
            self._parts[name].sync()

    def advance(self, sets: Iterable[str]) -> None:
        """Note that what was appended to the parts of these sets is committed."""
        for name in sets:
            self._parts[name].advance()

    def cut_back(self) -> None:
        """Truncate to what is committed, if the disk lets us: else the next start does."""
        self._was_cut = True
        for part in self._parts.values():
            if part.is_open:
                with suppress(OSError):
                    part.cut_back()

    def sync_cuts(self) -> None:
        """Make `cut_back` durable: a sealed part would be refused if its tail came back."""
        if not self._was_cut:
            return
        for part in self._parts.values():
            if part.is_open:
                part.cut_back()
                with stopping_for_good(self.directory.path):
                    part.sync()
        self._was_cut = False

    def write_empty(self, sets: Iterable[str]) -> list[Extent]:
        """Write the files of parts without rows, durably: a loader expects a file of each set."""
        parts = [self._parts[name] for name in sets]
        extents = [part.append([]) for part in parts]
        with stopping_for_good(self.directory.path):
            for part in parts:
                part.sync()
            if parts:
                self.directory.sync()
        return extents

    def final_path(self, part_set: str) -> Path:
        """Return the path that the open part of a set gets when it is sealed."""
        return self.directory.path / part_name(self.state(part_set).as_sealed(), self._compression)

    def give_final_name(self, part_set: str) -> None:
        """Close the part of a set, rename it and begin the next; durable once the directory is."""
        part = self._parts[part_set]
        part.close()
        os.rename(part.path, self.final_path(part_set))  # noqa: PTH104 - one of a row of calls
        following = part.state.following()
        self._parts[part_set] = OpenPart(self.directory.path, following, self._compression)

    def close(self) -> None:
        """Close the files."""
        for part in self._parts.values():
            part.close()
