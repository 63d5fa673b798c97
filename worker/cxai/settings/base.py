"""How a class of settings follows from its definitions."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import FrozenInstanceError, dataclass, field, replace
from difflib import get_close_matches
from typing import Any, ClassVar, Self, dataclass_transform

from cxai.core.guid import guid_in
from cxai.errors import UsageError
from cxai.settings.definition import Setting, setting

_MOST_CHARS_QUOTED = 60


class SettingsError(UsageError, ValueError):
    """Some settings can't be used. `problems` has a line for each of them; `usable` are others."""

    def __init__(
        self, problems: Sequence[str], advice: str = "", usable: Mapping[str, Any] | None = None
    ) -> None:
        self.problems = tuple(problems)
        self.usable = usable or {}
        lines = ["These settings can't be used:", *(f"  {problem}" for problem in problems)]
        super().__init__("\n".join([*lines, advice] if advice else lines))


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(setting,))
class SettingsBase:
    """Base of a class of settings, made of native values or texts by name. Frozen.

    Raises SettingsError, a ValueError, that lists all that can't be used.
    """

    _definitions: ClassVar[dict[str, Setting[Any]]] = {}
    _former_names: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls) -> None:
        found = {name: value for name, value in vars(cls).items() if isinstance(value, Setting)}
        cls._definitions = {name: replace(value, name=name) for name, value in found.items()}
        for name in found:
            delattr(cls, name)  # an instance has the value under this name
        definitions = cls._definitions.values()
        cls._former_names = {old: each.name for each in definitions for old in each.formerly}

    def __init__(self, **given: Any) -> None:
        checked = self.check(given, {name: name for name in given})
        if checked.problems:
            raise SettingsError(checked.problems)
        for former, name in checked.renamed.items():
            warnings.warn(f"the setting {former} is now {name}", DeprecationWarning, stacklevel=2)
        defaults = {name: definition.default for name, definition in self._definitions.items()}
        self.__dict__.update(defaults, **checked.values, _given=frozenset(checked.values))

    @classmethod
    def definitions(cls) -> tuple[Setting[Any], ...]:
        """Return the definition of each setting, in order."""
        return tuple(cls._definitions.values())

    @classmethod
    def definition(cls, name: str) -> Setting[Any]:
        """Return the definition of a setting. Raises KeyError for a name that is none."""
        return cls._definitions[name]

    @classmethod
    def current_name(cls, name: str) -> str | None:
        """Return the name of today for a name of a setting, None if it never was one."""
        current = cls._former_names.get(name, name)
        return current if current in cls._definitions else None

    @classmethod
    def check(
        cls,
        given: Mapping[str, Any],
        places: Mapping[str, str],
        is_secret: Callable[[str], bool] = lambda _text: False,
    ) -> "Checked":
        """Return the values of given settings, and what is wrong with them.

        `places` names for people where each was given: an option, a variable, a key of a file.
        A text that `is_secret` is not shown.
        """
        found = Checked()
        for name, value in given.items():
            place, current = places[name], cls._former_names.get(name, name)
            definition = cls._definitions.get(current)
            if definition is None:
                found.problems.append(f"{place}: no such setting{meant(name, cls._definitions)}")
                continue
            if name != current:
                found.renamed[name] = current
                if current in given:
                    found.problems.append(
                        f"{place}: is now called {places[current]}, which is given as well:"
                        " remove one of them"
                    )
                    continue
            try:
                found.values[current] = definition.parse(value)
            except ValueError as error:
                found.problems.append(f"{place}: {shown(definition, value, is_secret)}{error}")
        return found

    @property
    def given(self) -> frozenset[str]:
        """The names of the settings that were given, even with the value of the default."""
        given: frozenset[str] = self.__dict__["_given"]
        return given

    def replace(self, **changes: Any) -> Self:
        """Return these settings with some changed. Raises SettingsError."""
        kept = self.given - {self._former_names.get(name, name) for name in changes}
        return type(self)(**self._values(kept), **changes)

    def _values(self, names: Iterable[str]) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in names}

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"settings can't be changed: {name}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"settings can't be changed: {name}")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values(self._definitions) == other._values(self._definitions)

    def __hash__(self) -> int:
        return hash(tuple(self._values(self._definitions).values()))

    def __repr__(self) -> str:
        values = (f"{name}={value!r}" for name, value in self._values(sorted(self.given)).items())
        return f"{type(self).__name__}({', '.join(values)})"


@dataclass(frozen=True, slots=True)
class Checked:
    """Values by the names of today, former names with the name of today, and what is wrong."""

    values: dict[str, Any] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def meant(name: str, known: Iterable[str]) -> str:
    """Return a question for the name that was probably meant, empty if none is near."""
    nearest = get_close_matches(name, known, n=1)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def shown(definition: Setting[Any], value: object, is_secret: Callable[[str], bool]) -> str:
    """Quote a value that can't be used; nothing if it may be, or hold, a secret."""
    try:
        text = str(value).lower() if isinstance(value, bool) else str(value)
    except ValueError:  # an integer of more digits than Python writes
        return ""
    if definition.kind.is_secret or "@" in text or guid_in(text) is not None or is_secret(text):
        return ""
    if len(text) > _MOST_CHARS_QUOTED:
        text = f"{text[:_MOST_CHARS_QUOTED]}..."
    return f"{text!r} is not valid: "
