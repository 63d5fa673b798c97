"""`cxai status`, `verify` and `prune`: an export that is there already."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cxai.cli.options import AsJson, Column, Directory, Field, Place, directory_of
from cxai.cli.streams import json_text, tell
from cxai.cluster.url import is_engine_url
from cxai.errors import ExitCode, UsageError

if TYPE_CHECKING:  # take long to import
    from cxai.core.ports import Source
    from cxai.inspect.verify.findings import Findings


def status(place: Place, as_json: AsJson = False) -> None:
    """Show the progress or the final state of an export."""
    if is_engine_url(place):
        from cxai.app.cluster_commands import status as shared_status
        from cxai.cli.process import run_to_end

        shared = run_to_end(shared_status(place))
        tell(json_text(shared.as_dict()) if as_json else shared.text())
        return
    from cxai.inspect.status import export_status

    found = export_status(directory_of(place))
    tell(json_text(found.as_dict()) if as_json else found.text())


def verify(
    place: Place,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="The input: then each of its lines should have a verdict, too.",
            metavar="[SOURCE]...",
            show_default=False,
        ),
    ] = None,
    column: Column = None,
    field: Field = None,
    id_pattern: Annotated[
        str, typer.Option(help="Regular expression of an ID.", show_default="GUIDs")
    ] = "",
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="An input without any ID is no error.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check every file of an export against its ledger; exit code 5 if they differ.

    Exit code 4 if all is intact, but lines of SOURCE have no verdict yet.
    """
    source = _input_to_verify(sources, column, field, id_pattern, allow_empty=allow_empty)
    check = _verify_shared if is_engine_url(place) else _verify_directory
    found = check(place, source)
    tell(json_text(found.as_dict()) if as_json else found.text())
    if found.exit_code is not ExitCode.FINISHED:
        raise typer.Exit(found.exit_code)


def _verify_directory(place: str, source: "Source | None") -> "Findings":
    from cxai.inspect.verify import verify_export
    from cxai.sources.blocking import blocks_of

    return verify_export(directory_of(place), None if source is None else blocks_of(source))


def _verify_shared(place: str, source: "Source | None") -> "Findings":
    from cxai.app.cluster_commands import verify as verify_shared
    from cxai.cli.process import run_to_end

    return run_to_end(verify_shared(place, source))


def _input_to_verify(
    sources: Sequence[str] | None,
    column: str | None,
    field: str | None,
    id_pattern: str,
    *,
    allow_empty: bool,
) -> "Source | None":
    """Return the input to compare with, None if none was named. Raises UsageError."""
    from cxai.api.token import VARIABLE
    from cxai.core.entry import IdRule
    from cxai.core.guid import GUID_PATTERN
    from cxai.core.secret import Secrets
    from cxai.sources.options import SourceOptions
    from cxai.sources.registry import open_source

    if not sources:
        if column is not None or field is not None or id_pattern or allow_empty:
            raise UsageError(
                "--column, --field, --id-pattern and --allow-empty are about an input: name it"
                " behind the directory, or - for standard input."
            )
        return None
    token = os.environ.get(VARIABLE, "").strip()  # as an ID it is shown nowhere
    rule = IdRule(id_pattern or GUID_PATTERN, Secrets(token))
    source = open_source(sources, SourceOptions(rule, column, field, allow_empty))
    if source.is_queue:
        raise UsageError("An input to verify has to end: name files that hold its IDs.")
    return source


def prune(
    directory: Directory,
    parts: Annotated[
        list[str] | None,
        typer.Argument(
            help="Names of finished parts, such as records-000001.jsonl.",
            metavar="[PART]...",
            show_default=False,
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All finished parts.")] = False,
    missing: Annotated[
        bool,
        typer.Option("--missing", help="Also parts that are gone; alone: all that are gone."),
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Release them, but don't delete their files.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Release finished parts that were loaded, and delete their files; runs go on without them.

    Each file is checked against the ledger first. IDs with a record in a released part are never
    asked again.
    """
    from cxai.clock import SystemClock
    from cxai.inspect.prune import prune_export

    pruned = prune_export(
        directory, parts or [], SystemClock(), every=every, missing=missing, keep=keep
    )
    try:
        tell(json_text(pruned.as_dict()) if as_json else pruned.text())
    except UsageError as error:
        done = f"{len(pruned.released)} parts were released and {len(pruned.deleted)} files deleted"
        raise UsageError(f"{error} Only this report is lost: {done}.") from None
