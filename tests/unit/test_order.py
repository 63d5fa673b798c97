"""The order of the tests themselves, where several processes share them."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from support.order import long_ones_first


@dataclass(frozen=True)
class Item:
    """A test as pytest has collected it."""

    file: str
    number: int
    seconds: int = 0

    @property
    def path(self):
        return Path(self.file)

    def get_closest_marker(self, name):
        return pytest.mark.long(self.seconds).mark if name == "long" and self.seconds else None


def items_of(file, count, seconds=0):
    return [Item(file, number, seconds) for number in range(count)]


def files_of(items):
    return [item.file for item in items]


SHORT = [*items_of("a", 5), *items_of("b", 4)]
LONG = [*items_of("short", 2, 3), *items_of("longest", 2, 20), *items_of("longer", 1, 9)]


def test_the_stretch_of_each_process_begins_with_its_share_of_the_long_files():
    ordered = long_ones_first([*SHORT, *LONG], 2)
    assert files_of(ordered[:7]) == ["longest", "longest", *"aaaaa"]
    assert files_of(ordered[7:]) == ["longer", "short", "short", *"bbbb"]


def test_each_test_runs_once_and_those_of_a_file_in_their_order():
    for count in range(1, 16):  # also more processes than tests
        ordered = long_ones_first([*SHORT, *LONG], count)
        assert len(ordered) == len(SHORT + LONG)
        assert set(ordered) == {*SHORT, *LONG}
        for file in set(files_of(ordered)):
            numbers = [item.number for item in ordered if item.file == file]
            assert numbers == sorted(numbers)
