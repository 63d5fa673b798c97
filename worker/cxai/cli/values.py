"""What options and arguments take, and how a shell completes it."""

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from cxai.cluster.url import is_engine_url
from cxai.errors import UsageError
from cxai.output.local_path import local_path, without_credentials
from cxai.settings.kind import Kind
from cxai.settings.texts import File


class Value(click.ParamType[Any]):
    """The value of an option, of one of the kinds that settings have."""

    name = "value"

    def __init__(self, kind: Kind[Any]) -> None:
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self.kind.parse(value)
        except ValueError as error:
            self.fail(f"{value!r} is not valid: {error}", param, ctx)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        if isinstance(self.kind, File):
            return [CompletionItem(incomplete, type="file")]
        before, comma, last = (
            incomplete.rpartition(",") if self.kind.is_list else ("", "", incomplete)
        )
        left = {*self.kind.choices} - {*before.split(",")}
        return [
            CompletionItem(f"{before}{comma}{one}")
            for one in self.kind.choices
            if one in left and one.startswith(last)
        ]


class Typed(Value):
    """A value that is read later, as typed: it is completed as one of its kind."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value


class Place(click.ParamType[Any]):
    """An export: a directory, or the URL of a shared one."""

    name = "place"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="dir")]


class Directory(Place):
    """An export on this machine. Raises UsageError for a shared one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        return directory_of(str(value))


def directory_of(place: str) -> Path:
    """Return the directory that a place is. Raises UsageError."""
    if is_engine_url(place):
        raise UsageError(
            f"{without_credentials(place)} is an export that workers share, not a directory. This"
            " command works on exports on this machine."
        )
    return local_path(place, "The directory")


def metavar_of(kind: Kind[Any]) -> str:
    """Return what stands for a value on the help page; alternatives are in brackets."""
    return f"[{kind.metavar}]" if "|" in kind.metavar else kind.metavar
