"""What is wrong with a command line, in words."""

from difflib import get_close_matches
from itertools import chain

import click


def explain(error: click.UsageError) -> str:
    """Return what is wrong, and the command that shows the help: two lines."""
    command = "cxai" if error.ctx is None else error.ctx.command_path
    return f"{_problem(error)}\nSee `{command} --help`."


def _problem(error: click.UsageError) -> str:
    match error:
        case click.NoSuchOption(option_name=name, ctx=click.Context(command=command)):
            known = [(*one.opts, *one.secondary_opts) for one in command.params]
            return unknown("option", name, [*chain.from_iterable(known)])
        case click.MissingParameter(param=click.Option(opts=names, metavar=metavar)):
            return f"Option {names[-1]} {metavar} is missing."
        case click.MissingParameter(param=click.Argument(metavar=metavar)):
            return f"Argument {metavar} is missing."
        case click.BadParameter(param=click.Option(opts=names)):
            return f"{names[-1]}: {error.message}"
        case click.BadParameter(param=click.Argument(metavar=metavar)):
            return f"{metavar}: {error.message}"
    return error.format_message()


def unknown(what: str, name: str, known: list[str]) -> str:
    """Return that there is no option or command of a name, and which was probably meant."""
    nearest = get_close_matches(name, known, n=1)
    return f"There is no {what} {name!r}." + (f" Did you mean {nearest[0]}?" if nearest else "")
