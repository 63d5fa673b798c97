"""Kinds of values of which there are few."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from cxai.policy.verdict import Verdict
from cxai.settings.kind import Kind, T_co, quoted
from cxai.settings.numbers import number_in

T = TypeVar("T")

_ON = frozenset(("true", "yes", "on", "1", "y", "t"))
_OFF = frozenset(("false", "no", "off", "0", "n", "f"))


@dataclass(frozen=True)
class Switch(Kind[bool]):
    """On or off."""

    metavar = "true|false"
    range = "true or false"
    allowed = "true or false (or yes or no, on or off, 1 or 0)"

    def parse(self, value: object) -> bool:
        text = str(value).strip().lower() if isinstance(value, bool | int | str) else ""
        if text not in _ON | _OFF:
            raise self.refusal()
        return text in _ON

    def show(self, value: Any) -> str:
        return "true" if value else "false"

    def toml(self, value: Any) -> str:
        return self.show(value)


@dataclass(frozen=True)
class Choice(Kind[T_co]):
    """One of a few names, each of which stands for a value."""

    values: Mapping[str, T_co]

    @classmethod
    def of(cls, choices: Iterable[T]) -> "Choice[T]":
        """Return the choice among the members of an enumeration, or names for themselves."""
        return Choice({str(each): each for each in choices})

    @property
    def choices(self) -> tuple[str, ...]:
        return tuple(self.values)

    @property
    def metavar(self) -> str:
        return "|".join(self.values)

    @property
    def range(self) -> str:
        return ", ".join(self.values)

    @property
    def allowed(self) -> str:
        return f"one of {self.range}"

    def parse(self, value: object) -> T_co:
        if not isinstance(value, str) or value.strip() not in self.values:
            raise self.refusal()
        return self.values[value.strip()]


@dataclass(frozen=True)
class Verdicts(Kind[frozenset[Verdict]]):
    """Several verdicts of IDs without a record: a list, or a text separated by commas."""

    metavar = "VERDICT,..."
    is_list = True
    choices = tuple(str(verdict) for verdict in Verdict if verdict is not Verdict.OK)
    range = ", ".join(choices)
    allowed = f"one or more of {', '.join(choices)}, separated by commas"

    def parse(self, value: object) -> frozenset[Verdict]:
        words = value.split(",") if isinstance(value, str) else value
        if not isinstance(words, list | tuple | set | frozenset) or not all(
            isinstance(word, str) for word in words
        ):
            raise self.refusal()
        names = {word.strip() for word in words} - {""}
        if Verdict.OK in names:
            raise ValueError("ok can't be reopened, since a record is written exactly once")
        if not names <= set(self.choices):
            raise self.refusal()
        return frozenset(Verdict(name) for name in names)

    def show(self, value: Any) -> str:
        return ",".join(sorted(value))

    def toml(self, value: Any) -> str:
        return f"[{', '.join(quoted(str(verdict)) for verdict in sorted(value))}]"


@dataclass(frozen=True)
class ReaderCount(Kind[int | Literal["auto"]]):
    """A number of processes, or auto."""

    most: int = 64
    metavar = "N|auto"
    noun = "a number of processes"

    @property
    def range(self) -> str:
        return f"0 to {self.most}, or auto"

    def parse(self, value: object) -> int | Literal["auto"]:
        if isinstance(value, str) and value.strip() == "auto":
            return "auto"
        number = number_in(value)
        if not isinstance(number, int) or not 0 <= number <= self.most:
            raise self.refusal()
        return number

    def toml(self, value: Any) -> str:
        return str(value) if isinstance(value, int) else quoted(value)
