"""The command line: one file a group of commands, and what is common to all.

Imports that cost time stand inside the commands, so that `cxai --help` answers at once.
"""

from typing import Annotated, NoReturn

import typer

from cxai.cli.cluster import cluster, enqueue_ids, retry_verdicts
from cxai.cli.exits import exit_after
from cxai.cli.inspect import prune, status, verify
from cxai.cli.run import RUN_HELP, run
from cxai.cli.schema import schema
from cxai.cli.simulate import demo, simulate
from cxai.cli.streams import open_standard_streams, tell
from cxai.version import __version__

app = typer.Typer(
    name="cxai",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Retrieve ElevateAI CX AI results in bulk, exactly once, as JSON Lines.",
    epilog="Exit codes: 0 complete · 1 too many failed, or not one result · 2 wrong usage, or an"
    " input without a valid ID · 3 token refused · 4 stopped early: run the same command again ·"
    " 5 the files and the ledger contradict each other · 70 a fault of cxai itself.",
)


def _version(asked: bool) -> None:
    if asked:
        tell(f"cxai-worker {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command(help=RUN_HELP)(run)
for _command in (demo, simulate, status, verify, prune, schema):
    app.command()(_command)
app.command("enqueue")(enqueue_ids)
app.command("retry")(retry_verdicts)
app.add_typer(cluster, name="cluster")


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    open_standard_streams()
    exit_after(app)
