"""Help pages: usage, what a command does, examples, and its options in groups.

`--help` leaves out the options that few users need; `--help-all` shows every one.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from inspect import cleandoc
from typing import Any

import click

from cxai.cli.streams import tell
from cxai.cli.usage import unknown
from cxai.errors import ExitCode

_MOST_COLUMNS = 100
_OPTION_COLUMNS = 30  # as of click: the description of a longer option is below it
_STACKED_BELOW = 60  # columns: then all descriptions are below their options
_MOST_TOGETHER = 24  # characters of a default that stay on one line
_NO_BREAK = "\N{NO-BREAK SPACE}"  # until the lines are broken

OTHER = "Other options"
"""The group of options that have none."""

_ALL = "cxai.help_all"  # in a context's `meta`: whether the page shows every option


class Option(click.Option):
    """An option with its place on the help page.

    `default_text` is the default as a user would write it, or in words; None shows none.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        group: str = OTHER,
        is_advanced: bool = False,
        default_text: str | None = None,
        **attributes: Any,
    ) -> None:
        super().__init__(names, **attributes)
        self.group = group
        self.is_advanced = is_advanced
        self.default_text = default_text

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option as typed, and its description; None if this page leaves it out."""
        if self.hidden or (self.is_advanced and not ctx.meta.get(_ALL)):
            return None
        names = ", ".join(self.opts)
        if self.secondary_opts:
            names = f"--[no-]{self.opts[0].removeprefix('--')}"
        elif not self.is_flag:
            names += f" {self.metavar}"
        if self.default_text is None or self.required:
            return names, f"{self.help or ''}{' [required]' if self.required else ''}"
        note = f"[default: {self.default_text}]"
        if len(note) <= _MOST_TOGETHER:
            note = note.replace(" ", _NO_BREAK)
        return names, f"{self.help} {note}"


class Argument(click.Argument):
    """An argument with a description and its place on the help page."""

    def __init__(self, names: Sequence[str], *, group: str, help: str, **attributes: Any) -> None:  # noqa: A002 - as of an option
        super().__init__(names, **attributes)
        self.group = group
        self.help = help

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        return self.metavar or "", self.help or ""


def _show(context: click.Context, option: click.Parameter, is_asked: bool) -> None:
    if is_asked and not context.resilient_parsing:
        context.meta[_ALL] = option.name == "help_all"
        tell(context.get_help())
        context.exit()


def _help_options(*, has_advanced: bool) -> Iterator[Option]:
    common: dict[str, Any] = dict.fromkeys(("is_flag", "is_eager"), True)
    common |= {"expose_value": False, "callback": _show}
    yield Option(["-h", "--help"], help="Show this help.", **common)
    if has_advanced:
        yield Option(["--help-all"], help="Show this help with every option.", **common)


class Page(click.Command):
    """A command with a help page; `examples` are whole command lines."""

    def __init__(
        self,
        *args: Any,
        examples: Sequence[str] = (),
        exit_codes: Mapping[int, str] | None = None,
        **attributes: Any,
    ) -> None:
        super().__init__(*args, **{**attributes, "add_help_option": False})
        self.examples = examples
        self.exit_codes = exit_codes or {}
        has_advanced = any(getattr(one, "is_advanced", False) for one in self.params)
        self.params += _help_options(has_advanced=has_advanced)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx  # every error names the command that refuses them
            raise

    def get_help(self, ctx: click.Context) -> str:
        columns = min(shutil.get_terminal_size().columns, _MOST_COLUMNS)
        formatter = click.HelpFormatter(width=max(columns, 20))
        self.format_help(ctx, formatter)
        return formatter.getvalue().replace(_NO_BREAK, " ").rstrip("\n")

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_usage(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(cleandoc(self.help or ""))
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:  # not wrapped, so that they can be pasted
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")
        self.format_options(ctx, formatter)
        if self.exit_codes:
            codes = [(str(code), meaning) for code, meaning in self.exit_codes.items()]
            with formatter.section("Exit codes"):
                formatter.write_dl(codes)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for one in self.get_params(ctx):
            if (record := one.get_help_record(ctx)) is not None:
                groups.setdefault(getattr(one, "group", OTHER), []).append(record)
        columns = 2 if formatter.width < _STACKED_BELOW else _OPTION_COLUMNS
        for name, records in groups.items():
            with formatter.section(name):
                formatter.write_dl(records, col_max=columns)


class Group(Page, click.Group):
    """Commands under one name. Without a command it prints its help, and exits with 2."""

    command_class = Page

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            tell(ctx.get_help())
            ctx.exit(ExitCode.USAGE)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in self.commands and not ctx.resilient_parsing:
            raise click.UsageError(unknown("command", args[0], [*self.commands]), ctx)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = [
            (name, command.get_short_help_str(200))
            for name, command in self.commands.items()
            if not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(commands)
        super().format_options(ctx, formatter)
