"""The command line. Imports that cost time are inside the commands: `cxai --help` is fast."""

import sys
from typing import NoReturn

import click

from cxai.cli.cluster import cluster, enqueue, retry
from cxai.cli.completion import complete, completion
from cxai.cli.config import config
from cxai.cli.exits import exit_after
from cxai.cli.help import Group, Option
from cxai.cli.inspect import prune, status, verify
from cxai.cli.run import run
from cxai.cli.schema import schema
from cxai.cli.simulate import demo, simulate
from cxai.cli.streams import open_standard_streams, tell
from cxai.cli.usage import explain
from cxai.errors import UsageError
from cxai.version import __version__


def _version(context: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if is_asked and not context.resilient_parsing:
        tell(f"cxai-worker {__version__}")
        context.exit()


app = Group(
    "cxai",
    commands=[
        *(run, demo, simulate, status, verify, prune, schema, enqueue, retry, cluster),
        *(config, completion),
    ],
    params=[
        Option(
            ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version,
            help="Show the version.",
        )
    ],
    help="Retrieve ElevateAI CX AI results in bulk, exactly once, as JSON Lines.",
    examples=["cxai demo", "cxai run ids.txt -o export/", "cxai status export/", "cxai run --help"],
    exit_codes={
        0: "Complete.",
        1: "Too many IDs failed, or none has a result.",
        2: "Wrong usage, or an input without a valid ID.",
        3: "The API refused the token.",
        4: "Stopped early: rerun the same command to resume.",
        5: "Files and ledger contradict each other.",
        70: "Internal error.",
    },
)  # fmt: skip
"""The command `cxai`."""


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    open_standard_streams()
    exit_after(_run)


def _run() -> None:
    complete(app)
    try:
        with app.make_context("cxai", sys.argv[1:]) as context:
            app.invoke(context)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.UsageError as error:
        raise UsageError(explain(error)) from None
