"""`cxai run`: settings → token → source → export → report."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cxai.cli.exits import finish
from cxai.cli.options import AsJson, Column, Field, Output
from cxai.cli.streams import say
from cxai.defaults import defaults_file
from cxai.errors import UsageError

RUN_HELP = (
    "Retrieve the results of all IDs in SOURCE into a directory; rerun to resume.\n\n"
    "The token comes from CXAI_API_TOKEN or --token-file. All settings, also those without an"
    f" option here: {defaults_file()}"
)


def run(  # noqa: D103 - see RUN_HELP
    output: Output,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files with interaction IDs: text (one a line), CSV, JSON Lines; gzip or zstd;"
            " - or nothing for standard input. Or a queue: redis://HOST/DB/STREAM, sqs://NAME.",
            metavar="[SOURCE]...",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="TOML file with settings.")
    ] = None,
    column: Column = None,
    field: Field = None,
    id_pattern: Annotated[
        str | None, typer.Option(help="Regular expression of an ID; GUIDs by default.")
    ] = None,
    allow_empty: Annotated[
        bool | None, typer.Option("--allow-empty", help="An input without any ID is no error.")
    ] = None,
    until_idle_s: Annotated[
        float | None,
        typer.Option(
            "--until-idle", help="Seconds without a message that end the run of a queue. [never]"
        ),
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Requests per second, at most. [5]")] = None,
    in_flight: Annotated[int | None, typer.Option(help="Requests at a time, at most. [10]")] = None,
    burst: Annotated[
        bool | None, typer.Option("--burst", help="Don't spread requests evenly.")
    ] = None,
    shape: Annotated[str | None, typer.Option(help="nested or tables. \\[nested]")] = None,
    compression: Annotated[str | None, typer.Option(help="none, gzip or zstd. \\[none]")] = None,
    part_every_s: Annotated[
        float | None,
        typer.Option(
            "--part-every",
            help="Seconds after which rows are in a finished part, also while the run goes on."
            " \\[900 for a queue without an end]",
        ),
    ] = None,
    score_bands: Annotated[Path | None, typer.Option(help="TOML file with score ranges.")] = None,
    retry: Annotated[
        str | None, typer.Option(help="More verdicts to retry, separated by commas.")
    ] = None,
    max_attempts: Annotated[int | None, typer.Option(help="Attempts at one ID. [6]")] = None,
    patience_s: Annotated[
        float | None,
        typer.Option("--patience", help="Seconds to wait for interactions under way. [900]"),
    ] = None,
    max_failed: Annotated[
        float | None, typer.Option(help="Share of IDs that may fail before exit code 1. [0]")
    ] = None,
    allow_none: Annotated[
        bool | None, typer.Option("--allow-none", help="A run without any result is no error.")
    ] = None,
    grace_s: Annotated[
        float | None, typer.Option("--grace", help="Seconds a stopped run waits for replies. [30]")
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="Where the API is.")] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the API token. \\[CXAI_API_TOKEN]")
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(help="CA certificates to trust instead of the system's.")
    ] = None,
    proxy: Annotated[
        str | None, typer.Option(help="Proxy, http://host:port; with a password: CXAI_PROXY.")
    ] = None,
    progress: Annotated[str | None, typer.Option(help="auto, bar, lines or none. \\[auto]")] = None,
    reopen_missing: Annotated[
        bool,
        typer.Option(
            "--reopen-missing",
            help="Fetch the IDs of parts again whose files are missing and were not released.",
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Use DIR although it holds files of others.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    options = dict(locals())

    from cxai.api.token import read_token
    from cxai.app import source_of
    from cxai.cli.process import export_as_command, run_to_end
    from cxai.observe.logging import LOG
    from cxai.observe.redaction import Redaction
    from cxai.settings import LogFormat, Settings, load_settings
    from cxai.sources.census import Census

    given = {k: v for k, v in options.items() if v is not None and k in Settings.model_fields}
    if proxy is not None and "@" in proxy:
        raise UsageError(
            "--proxy holds a user name or a password, which each user of this machine could see in"
            " the list of processes. Set CXAI_PROXY instead."
        )
    redaction = Redaction()
    as_json_log = os.environ.get("CXAI_LOG_FORMAT", "").lower() == LogFormat.JSON
    LOG.configure(redaction, as_json=as_json_log)  # for what refuses the settings
    settings = load_settings(given, config)
    LOG.configure(redaction, as_json=settings.log_format is LogFormat.JSON)
    token = read_token(settings.token_file)
    redaction.add(token)
    if not sources and sys.stdin.isatty():
        say("cxai: reading IDs from the terminal, one a line; Ctrl-D ends.")
    source = source_of(settings, sources or [], token)
    census = Census(sources or [])
    census.start()
    work = export_as_command(
        settings, source, output, token, census=census, force=force, reopen_missing=reopen_missing
    )
    finish(run_to_end(work), as_json=as_json)
