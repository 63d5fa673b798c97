"""`cxai completion`, and what the shells ask `cxai` for once its script is loaded."""

import os
import sys

import click

from cxai.cli.help import Argument, Page
from cxai.cli.streams import tell
from cxai.cli.values import Value
from cxai.settings.choices import Choice

_VARIABLE = "_CXAI_COMPLETE"  # click's name for a program called cxai
_SHELLS = Choice.of(("bash", "zsh", "fish"))


@click.command(
    cls=Page,
    params=[
        Argument(
            ["shell"], type=Value(_SHELLS), metavar="SHELL", group="Shell",
            help="bash, zsh or fish.",
        )
    ],
    examples=[
        'eval "$(cxai completion bash)"     # in ~/.bashrc',
        'eval "$(cxai completion zsh)"      # in ~/.zshrc',
        "cxai completion fish > ~/.config/fish/completions/cxai.fish",
    ],
)  # fmt: skip
def completion(shell: str) -> None:
    """Print the script that completes commands, options and values in a shell."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - click has these three
    script = found(click.Command("cxai"), {}, "cxai", _VARIABLE)
    tell(script.source_template % script.source_vars())


def complete(command_line: click.Command) -> None:
    """Answer a shell that wants completions, and exit; do nothing if none does."""
    if instruction := os.environ.get(_VARIABLE):
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(command_line, {}, "cxai", _VARIABLE, instruction))
