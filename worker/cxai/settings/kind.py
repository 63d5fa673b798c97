"""The port of a kind of value: how it is read, shown, and described to people."""

from typing import Any, Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)

_MOST_IN_FOUR_DIGITS = 0xFFFF


class Kind(Generic[T_co]):
    """A kind of value. `noun` and `examples` describe it to people."""

    noun = "a value"
    examples = ""

    @property
    def metavar(self) -> str:
        """What stands for the value in help."""
        return "TEXT"

    @property
    def choices(self) -> tuple[str, ...]:
        """All values that may be given, if they are few."""
        return ()

    @property
    def is_list(self) -> bool:
        """Whether several of the choices may be given, separated by commas."""
        return False

    @property
    def is_secret(self) -> bool:
        """Whether the value is never shown."""
        return False

    @property
    def range(self) -> str:
        """The range of values with its unit, or the values; empty if there is no such thing."""
        return ""

    @property
    def allowed(self) -> str:
        """What may be given, with range, unit and examples: words that follow "expected"."""
        return f"{self.noun} ({self.range}){self.examples and f', such as {self.examples}'}"

    def parse(self, value: object) -> T_co:
        """Return the value that a text, or a native value as TOML has it, stands for.

        Raises ValueError, whose text says what is expected and never holds the value.
        """
        raise NotImplementedError

    def show(self, value: Any) -> str:
        """Return the text that `parse` reads back, with its unit. A secret is masked."""
        return str(value)

    def toml(self, value: Any) -> str:
        """Return the value as TOML, which `parse` reads back."""
        text = self.show(value)
        is_literal = "\\" in text and "'" not in text and text.isprintable()
        return f"'{text}'" if is_literal else quoted(text)

    def refusal(self) -> ValueError:
        """Return the error of a value that can't be used."""
        return ValueError(f"expected {self.allowed}")


def quoted(text: str) -> str:
    """Return a text as a string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else _escaped(c) for c in escaped) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= _MOST_IN_FOUR_DIGITS else f"\\U{code:08x}"
