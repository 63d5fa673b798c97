"""`cxai status`, `verify` and `prune`: what can be done with an export beside running it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxai.cli.exits import finish_with
from cxai.cli.help import Argument, Option, Page
from cxai.cli.options import AS_JSON, PLACE, SOURCES, settings_options
from cxai.cli.streams import json_text, tell
from cxai.cli.values import Directory, directory_of
from cxai.cluster.url import is_engine_url
from cxai.errors import UsageError
from cxai.settings import Settings

if TYPE_CHECKING:  # take long to import
    from cxai.cluster.status import ClusterStatus
    from cxai.core.ports import Source
    from cxai.inspect.status import Status


@click.command(
    cls=Page,
    params=[PLACE, AS_JSON],
    examples=["cxai status export/", "cxai status postgres://cxai@db.internal/cxai#nightly --json"],
)
def status(*, place: str, as_json: bool) -> None:
    """Show the progress or the final state of an export."""
    if is_engine_url(place):
        from cxai.app import cluster_commands
        from cxai.cli.process import run_to_end

        found: ClusterStatus | Status = run_to_end(cluster_commands.status(place))
    else:
        from cxai.inspect.status import export_status

        found = export_status(directory_of(place))
    tell(json_text(found.as_dict()) if as_json else found.text())


@click.command(
    cls=Page,
    params=[
        PLACE,
        SOURCES,
        *settings_options("column", "field", "id_pattern", "allow_empty"),
        AS_JSON,
    ],
    examples=["cxai verify export/", "cxai verify export/ ids.txt"],
    exit_codes={
        0: "All files are intact.",
        4: "All files are intact, but lines of SOURCE have no verdict yet.",
        5: "Files and ledger contradict each other.",
    },
)
def verify(*, place: str, sources: Sequence[str], as_json: bool, **options: Any) -> None:
    """Check every file of an export against its ledger.

    With SOURCE, also check that each of its lines has a verdict.
    """
    source = _input_to_verify(sources, **options)
    if is_engine_url(place):
        from cxai.app import cluster_commands
        from cxai.cli.process import run_to_end

        found = run_to_end(cluster_commands.verify(place, source))
    else:
        from cxai.inspect.verify import verify_export
        from cxai.sources.blocking import blocks_of

        found = verify_export(directory_of(place), None if source is None else blocks_of(source))
    headline = found.text().partition("\n")[0].rstrip(":")
    finish_with(found, "verify_failed", headline, as_json=as_json)


def _input_to_verify(
    sources: Sequence[str],
    *,
    column: str | None,
    field: str | None,
    id_pattern: str | None,
    allow_empty: bool | None,
) -> "Source | None":
    """Return the input to compare with, None if none was named. Raises UsageError."""
    from cxai.api.token import VARIABLE
    from cxai.core.entry import IdRule
    from cxai.core.secret import Secrets
    from cxai.sources.options import SourceOptions
    from cxai.sources.registry import open_source

    if not sources:
        if column is not None or field is not None or id_pattern or allow_empty:
            raise UsageError(
                "--column, --field, --id-pattern and --allow-empty describe an input: name it after"
                " the directory, or - for standard input."
            )
        return None
    token = os.environ.get(VARIABLE, "").strip()  # as an ID it is shown nowhere
    usual = Settings()
    options = SourceOptions(
        rule=IdRule(id_pattern or usual.id_pattern, Secrets(token)),
        column=column,
        field=field,
        allow_empty=bool(allow_empty),
        until_idle_s=usual.until_idle_s,
        patience_s=usual.queue_patience_s,
        redis_password_file=usual.redis_password_file,
    )
    source = open_source(sources, options)
    if source.is_queue:
        raise UsageError("An input to verify has to end: name files that hold its IDs.")
    return source


@click.command(
    cls=Page,
    params=[
        Argument(
            ["directory"], type=Directory(), metavar="DIR", group="Export",
            help="Directory of an export.",
        ),
        Argument(
            ["parts"], nargs=-1, metavar="[PART]...", group="Export",
            help="Names of finished parts, such as records-000001.jsonl.",
        ),
        Option(
            ["--all", "every"], is_flag=True, group="Export", help="Release all finished parts."
        ),
        Option(
            ["--missing"], is_flag=True, group="Export",
            help="Release parts whose files are missing, too; without PART and --all, only these.",
        ),
        Option(
            ["--keep"], is_flag=True, group="Export",
            help="Release the parts, but keep their files.",
        ),
        AS_JSON,
    ],
    examples=[
        "cxai prune export/ records-000001.jsonl records-000002.jsonl",
        "cxai prune export/ --all",
    ],
)  # fmt: skip
def prune(
    *, directory: Path, parts: Sequence[str], every: bool, missing: bool, keep: bool, as_json: bool
) -> None:
    """Release finished parts that were loaded, and delete their files.

    Each file is checked against the ledger first. Runs go on without released parts: IDs with a
    record in one are never requested again.
    """
    from cxai.clock import SystemClock
    from cxai.inspect.prune import prune_export

    pruned = prune_export(directory, parts, SystemClock(), every=every, missing=missing, keep=keep)
    try:
        tell(json_text(pruned.as_dict()) if as_json else pruned.text())
    except UsageError as error:
        done = f"{len(pruned.released)} parts were released and {len(pruned.deleted)} files deleted"
        raise UsageError(f"{error} Only this report is lost: {done}.") from None
