"""`cxai cluster init`, `enqueue` and `retry`: an export that many workers share."""

from collections.abc import Sequence
from typing import Any

import click

from cxai.cli.exits import finish_with
from cxai.cli.help import Argument, Group, Option, Page
from cxai.cli.options import AS_JSON, CONFIG, QUIET, SOURCES, VERBOSE, settings_of, settings_options
from cxai.cli.streams import json_text, tell
from cxai.cli.values import Typed
from cxai.errors import UsageError
from cxai.settings.choices import Verdicts
from cxai.settings.settings import INPUT, OUTPUT

_URL = "URL of the export: postgres://USER@HOST/DATABASE#NAME."


@click.command(
    cls=Page,
    params=[
        Argument(
            ["database"], metavar="DATABASE", group="Export",
            help="URL of the database, postgres://USER@HOST/DATABASE, or of the export: with #NAME"
            " after it.",
        ),
        Option(
            ["--export"], metavar="NAME", group="Export",
            help="Name of the export, if DATABASE does not end in #NAME.",
        ),
        Option(
            ["-o", "--output"], metavar="PLACE", group=OUTPUT,
            help="Where objects are written: s3://BUCKET/PREFIX, gs://, az://, or a directory that"
            " all workers share. Required for a new export.",
        ),
        *settings_options(
            *("resource", "shape", "compression", "score_bands", "base_url", "total_timeout_s"),
            *("rate", "in_flight", "adaptive", "retry_share", "max_failed", "allow_none"),
            *("flush_s", "flush_ids", "worker_ttl_s"),
        ),
        CONFIG,
    ],
    examples=[
        "cxai cluster init postgres://cxai@db.internal/cxai#nightly -o s3://bucket/nightly",
        "cxai cluster init postgres://cxai@db.internal/cxai#nightly --rate 50 --in-flight 100",
    ],
)  # fmt: skip
def init(
    *, database: str, export: str | None, output: str | None, config: str | None, **options: Any
) -> None:
    """Create an export in a database, or change the limits of an existing one.

    Rate and requests in flight are limits of all workers together: more workers make an export
    survive the loss of one, not faster.
    """
    from cxai.app.cluster_commands import init_export
    from cxai.cli.process import run_to_end

    tell(run_to_end(init_export(settings_of(options, config), database, export, output)))


cluster = Group(
    "cluster",
    commands=[init],
    help="Manage exports that many workers share, kept in PostgreSQL.",
    examples=["cxai cluster init postgres://cxai@db.internal/cxai#nightly -o /mnt/exports/nightly"],
)


@click.command(
    cls=Page,
    params=[
        SOURCES,
        *settings_options("column", "field", "id_pattern", "allow_empty", "until_idle_s"),
        *settings_options("queue_patience_s", "redis_password_file"),
        Option(["--to"], required=True, metavar="URL", group="Export", help=_URL),
        Option(
            ["--last"], is_flag=True, group="Export",
            help="No more IDs will follow: workers may exit when all are completed. Without"
            " SOURCE, only say that.",
        ),
        AS_JSON,
        *settings_options("outage_patience_s", "log_format", "log_level"),
        CONFIG,
        QUIET,
        VERBOSE,
    ],
    examples=[
        "cxai enqueue ids.txt --to postgres://cxai@db.internal/cxai#nightly --last",
        "cxai enqueue sqs://calls --to postgres://cxai@db.internal/cxai#nightly",
    ],
)  # fmt: skip
def enqueue(
    *,
    sources: Sequence[str],
    to: str,
    last: bool,
    as_json: bool,
    config: str | None,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Add the IDs of SOURCE to an export that workers share; repeated IDs count once."""
    if not sources and not last:
        raise UsageError("SOURCE is missing: name files, - for standard input, or a queue.")

    from cxai.app import cluster_commands
    from cxai.cli.process import as_command, run_to_end
    from cxai.core.events import EventStream
    from cxai.observe.redaction import Redaction
    from cxai.sources.redis_password import password_in_environment

    settings = settings_of(options, config, quiet=quiet, verbose=verbose)
    password, events = password_in_environment(), EventStream()
    work = as_command(
        settings,
        Redaction(password),
        events,
        lambda settings, stop: cluster_commands.enqueue(
            settings,
            sources or None,
            to,
            last=last,
            stop=stop,
            redis_password=password,
            events=events,
        ),
    )
    fed = run_to_end(work)
    finish_with(fed, "enqueue_failed", fed.headline, as_json=as_json, quiet=quiet)


@click.command(
    cls=Page,
    params=[
        Argument(
            ["verdicts"], type=Typed(Verdicts()), metavar="VERDICT,...", group=INPUT,
            help=f"Verdicts, separated by commas: {', '.join(Verdicts().choices)}.",
        ),
        Option(["--in", "in_"], required=True, metavar="URL", group="Export", help=_URL),
        AS_JSON,
    ],
    examples=[
        "cxai retry not_found --in postgres://cxai@db.internal/cxai#nightly",
        "cxai retry exhausted,bad_body --in postgres://cxai@db.internal/cxai#nightly --json",
    ],
)  # fmt: skip
def retry(*, verdicts: str, in_: str, as_json: bool) -> None:
    """Queue the IDs of an export again that ended with one of some verdicts.

    IDs that have a record are never queued again.
    """
    from cxai.app import cluster_commands
    from cxai.cli.process import run_to_end
    from cxai.core.figures import counted

    queued = run_to_end(cluster_commands.retry(in_, verdicts))
    text = f"{counted(queued, 'IDs')} {'is' if queued == 1 else 'are'} queued again."
    tell(json_text({"queued": queued}) if as_json else text)
