"""`cxai cluster init`, `enqueue` and `retry`: an export that many workers share."""

from typing import Annotated

import typer

from cxai.cli.options import (
    AllowEmpty,
    AsJson,
    BaseUrl,
    Column,
    Compression,
    Config,
    Field,
    IdPattern,
    MaxFailed,
    ScoreBands,
    Shape,
    UntilIdle,
    settings_of,
)
from cxai.cli.streams import json_text, tell
from cxai.errors import UsageError

cluster = typer.Typer(
    no_args_is_help=True, help="Exports that many workers share, kept in PostgreSQL."
)

_EXPORT_HELP = "The export: postgres://user@host/database#name."


@cluster.command()
def init(
    database: Annotated[
        str, typer.Argument(metavar="DATABASE", help="postgres://user@host/database.")
    ],
    export: Annotated[
        str | None, typer.Option(help="Name of the export, if DATABASE does not end in #name.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PLACE",
            help="Of a new export: s3://bucket/prefix, gs://, az://, or a directory that all"
            " workers see.",
        ),
    ] = None,
    config: Config = None,
    rate: Annotated[
        float | None, typer.Option(help="Requests per second of all workers together. [5]")
    ] = None,
    in_flight: Annotated[
        int | None, typer.Option(help="Requests at a time of all workers together. [10]")
    ] = None,
    shape: Shape = None,
    compression: Compression = None,
    score_bands: ScoreBands = None,
    total_timeout_s: Annotated[
        float | None, typer.Option("--total-timeout", help="Longest time for a request. [120]")
    ] = None,
    base_url: BaseUrl = None,
    max_failed: MaxFailed = None,
    allow_none: Annotated[
        bool | None, typer.Option("--allow-none", help="An export without any result is no error.")
    ] = None,
    flush_s: Annotated[
        str | None,
        typer.Option(
            "--flush", metavar="TIME", help="Time between two objects of a worker. \\[5m]"
        ),
    ] = None,
) -> None:
    """Create an export in a database, or change the limits of one that is there.

    The limits hold for all workers together: more workers are no faster, but go on when one dies.
    """
    options = dict(locals())

    from cxai.app.cluster_commands import init_export
    from cxai.cli.process import run_to_end

    tell(run_to_end(init_export(settings_of(options, config), database, export, output)))


def enqueue_ids(
    *,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files with interaction IDs, - for standard input, or a queue (redis://, sqs://);"
            " none, with --last alone.",
            metavar="[SOURCE]...",
            show_default=False,
        ),
    ] = None,
    to: Annotated[str, typer.Option(metavar="URL", help=_EXPORT_HELP)],
    last: Annotated[
        bool, typer.Option("--last", help="Nothing follows: workers may end when all is settled.")
    ] = False,
    config: Config = None,
    column: Column = None,
    field: Field = None,
    id_pattern: IdPattern = None,
    allow_empty: AllowEmpty = None,
    until_idle_s: UntilIdle = None,
    as_json: AsJson = False,
) -> None:
    """Add the IDs of SOURCE to an export that workers share; repeated ones count once."""
    options = dict(locals())
    if not sources and not last:
        raise UsageError("Name what to add: files, - for standard input, or a queue.")

    from cxai.app.cluster_commands import enqueue
    from cxai.cli.process import as_command, run_to_end
    from cxai.core.events import EventStream
    from cxai.observe.redaction import Redaction
    from cxai.sources.redis_password import password_in_environment

    settings = settings_of(options, config)
    password, events = password_in_environment(), EventStream()
    work = as_command(
        settings,
        Redaction(password),
        events,
        lambda settings, stop: enqueue(
            settings, sources, to, last=last, stop=stop, redis_password=password, events=events
        ),
    )
    fed = run_to_end(work)
    tell(json_text(fed.as_dict()) if as_json else fed.text())
    if fed.exit_code:
        raise typer.Exit(fed.exit_code)


def retry_verdicts(
    verdicts: Annotated[
        str, typer.Argument(help="Verdicts, separated by commas, such as not_found,exhausted.")
    ],
    in_: Annotated[str, typer.Option("--in", metavar="URL", help=_EXPORT_HELP)],
    as_json: AsJson = False,
) -> None:
    """Queue IDs of an export again that ended with one of VERDICTS; a record stays as it is."""
    from cxai.app.cluster_commands import retry
    from cxai.cli.process import run_to_end
    from cxai.core.figures import counted

    queued = run_to_end(retry(in_, verdicts))
    text = f"{counted(queued, 'IDs')} {'is' if queued == 1 else 'are'} queued again."
    tell(json_text({"queued": queued}) if as_json else text)
