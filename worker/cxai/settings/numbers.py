"""Kinds of numbers, with their units and ranges."""

import math
import re
from dataclasses import dataclass
from typing import Any

from cxai.settings.kind import Kind

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?", re.ASCII)
_DIGITS = re.compile(r"[-+]?\d+", re.ASCII)
_MOST_CHARS_OF_A_NUMBER = 40


def number_in(value: object) -> int | float | None:
    """Return the number that a value is or spells, None if it is none. An int stays exact.

    true, NaN, infinity and Python's own spellings (1_000) are no numbers.
    """
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _MOST_CHARS_OF_A_NUMBER or not _NUMBER.fullmatch(text):
            return None
        value = int(text) if _DIGITS.fullmatch(text) else float(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, int) or math.isfinite(value) else None


@dataclass(frozen=True)
class Count(Kind[int]):
    """A whole number of something."""

    unit: str
    least: int = 0
    most: int = 1_000_000
    metavar = "N"
    noun = "a whole number"

    @property
    def range(self) -> str:
        return f"{self.least:,} to {self.most:,} {self.unit}"

    def parse(self, value: object) -> int:
        number = number_in(value)
        if number is None or number != int(number) or not self.least <= number <= self.most:
            raise self.refusal()
        return int(number)

    def toml(self, value: Any) -> str:
        return f"{value:_}"


@dataclass(frozen=True)
class Number(Kind[float]):
    """A number of something, fractions included."""

    unit: str
    most: float
    least: float = 0.0
    above_least: bool = False
    examples: str = "2.5"
    metavar = "N"
    noun = "a number"

    @property
    def range(self) -> str:
        low = f"above {self.least:g}, up" if self.above_least else f"{self.least:g}"
        return f"{low} to {self.most:,.0f} {self.unit}"

    def parse(self, value: object) -> float:
        number = number_in(value)
        if number is None or not self.least <= number <= self.most:
            raise self.refusal()
        if self.above_least and number == self.least:
            raise self.refusal()
        return float(number)

    def show(self, value: Any) -> str:
        return f"{value:.15g}"

    def toml(self, value: Any) -> str:
        return repr(float(value))


_DECIMAL = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_SIZES = _DECIMAL | {"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
_SIZE = re.compile(r"(\d{1,30}(?:\.\d{1,9})?) ?([a-z]{0,3})", re.ASCII)


@dataclass(frozen=True)
class Bytes(Kind[int]):
    """A size in bytes, of at least `least`."""

    least: int = 1
    metavar = "SIZE"
    noun = "a size"
    examples = "1048576, 8 MiB or 256MB"

    @property
    def range(self) -> str:
        return f"at least {self.show(self.least)}"

    def parse(self, value: object) -> int:
        size = number_in(value)
        if isinstance(value, str) and (given := _SIZE.fullmatch(value.strip().lower())):
            unit = _SIZES.get(given[2])
            size = unit and (float(given[1]) if "." in given[1] else int(given[1])) * unit
        if size is None or size != int(size) or size < self.least:
            raise self.refusal()
        return int(size)

    def show(self, value: Any) -> str:
        for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
            if value >= unit and value % unit == 0:
                return f"{value // unit} {name}"
        return f"{value} B"


_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,9})?) ?([smhd])", re.ASCII)
_DAY_S = 86_400.0


@dataclass(frozen=True)
class Duration(Kind[float]):
    """A time: 90, 90s, 15m, 12h, 2d. Zero is refused unless `or_zero`."""

    or_zero: bool = False
    most_s: float = _DAY_S
    metavar = "TIME"
    noun = "a time"
    examples = "90, 90s, 15m or 12h"

    @property
    def range(self) -> str:
        return f"{'0s' if self.or_zero else 'above 0s, up'} to {self.show(self.most_s)}"

    def parse(self, value: object) -> float:
        seconds = number_in(value)
        if isinstance(value, str) and (given := _DURATION.fullmatch(value.strip())):
            seconds = float(given[1]) * _SECONDS[given[2]]
        if seconds is None or not 0 <= seconds <= self.most_s or not (seconds or self.or_zero):
            raise self.refusal()
        return float(seconds)

    def show(self, value: Any) -> str:
        for unit, seconds in reversed(_SECONDS.items()):
            if value >= seconds and value % seconds == 0:
                return f"{value // seconds:.0f}{unit}"
        text = f"{value:.6f}".rstrip("0").rstrip(".") + "s"
        return text if float(text[:-1]) == value else repr(float(value))


_PERCENT = 100
_DIGITS_OF_A_SHARE = 15  # 0.7% is 0.007, not the 0.0069… of a division


@dataclass(frozen=True)
class Share(Kind[float]):
    """A share from 0 to 1, also given in percent. Zero is refused unless `or_zero`."""

    or_zero: bool = True
    metavar = "SHARE"
    noun = "a share"
    examples = "0.05 or 5%"

    @property
    def range(self) -> str:
        return f"{'0%' if self.or_zero else 'above 0%, up'} to 100%"

    def parse(self, value: object) -> float:
        if isinstance(value, str) and value.strip().endswith("%"):
            percent = number_in(value.strip()[:-1])
            share = None if percent is None else round(percent / _PERCENT, _DIGITS_OF_A_SHARE)
        else:
            share = number_in(value)
        if share is None or not 0 <= share <= 1 or not (share or self.or_zero):
            raise self.refusal()
        return float(share)

    def show(self, value: Any) -> str:
        return text if self.parse(text := f"{value * _PERCENT:.12g}%") == value else repr(value)
