"""The definition of a setting, from which option, variable, TOML key and help are derived."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from cxai.settings.kind import Kind

T = TypeVar("T")

PREFIX = "CXAI_"


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """A setting: its name, kind, default and help.

    `more` is what the documentation adds to the help. A setting whose default is None may be left
    empty, and `unset` says what happens then. An `advanced` one is left out of short help.
    `formerly` are names that it once had, which are accepted with a warning. The option follows
    from the name unless there is an `option_name`.
    """

    name: str
    kind: Kind[T]
    default: T
    help: str
    group: str
    more: str = ""
    unset: str = ""
    advanced: bool = False
    formerly: tuple[str, ...] = ()
    option_name: str = ""

    @property
    def option(self) -> str:
        """The option of the command line."""
        return self.option_name or option_of(self.name)

    @property
    def former_options(self) -> dict[str, str]:
        """Its former names, each with the option of that time."""
        return {name: option_of(name) for name in self.formerly}

    @property
    def variable(self) -> str:
        """The environment variable."""
        return variable_of(self.name)

    @property
    def default_text(self) -> str:
        """The default as it is shown to people."""
        if self.default is None:
            return self.unset
        return self.kind.show(self.default) or "none"

    def parse(self, value: object) -> T:
        """Return the value of a text or a native value; ValueError says what is expected."""
        if self.default is None and (value is None or value == ""):
            return self.default
        return self.kind.parse(value)

    def show(self, value: T) -> str:
        """Return a value as a text that `parse` reads back, empty if it is not set."""
        return "" if value is None else self.kind.show(value)


def option_of(name: str) -> str:
    """Return the option of the command line for a setting: `--grace` for `grace_s`."""
    return f"--{name.removesuffix('_s').replace('_', '-')}"


def variable_of(name: str) -> str:
    """Return the environment variable for a setting: `CXAI_GRACE_S` for `grace_s`."""
    return PREFIX + name.upper()


def setting(
    kind: Kind[T],
    group: str,
    help: str,  # noqa: A002 - what it is called everywhere
    *,
    default: T,
    unset: str = "",
    more: str = "",
    formerly: tuple[str, ...] = (),
    advanced: bool = False,
    option: str = "",
) -> T:
    """Define a setting in the body of a class of settings; see Setting."""
    definition: Any = Setting(
        "", kind, default, help, group, more, unset, advanced, formerly, option
    )
    return definition  # type: ignore[no-any-return]  # an instance has the value in its place
