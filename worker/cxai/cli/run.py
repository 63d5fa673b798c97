"""`cxai run`: settings → token → source → export → report."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cxai.cli.aiohttp_import import import_aiohttp
from cxai.cli.exits import finish
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
    RunOutput,
    ScoreBands,
    Shape,
    UntilIdle,
    settings_of,
)
from cxai.cli.streams import say
from cxai.cluster.url import is_engine_url
from cxai.defaults import defaults_file
from cxai.errors import UsageError

RUN_HELP = (
    "Retrieve the results of all IDs in SOURCE into a directory; rerun to resume.\n\n"
    "The token comes from CXAI_API_TOKEN or --token-file. All settings, also those without an"
    f" option here: {defaults_file()}"
)


def run(  # noqa: D103 - see RUN_HELP
    output: RunOutput = None,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files with interaction IDs: text (one a line), CSV, JSON Lines; gzip or zstd;"
            " - or nothing for standard input. Or a queue: redis://HOST/DB/STREAM, sqs://NAME. Or"
            " an export that workers share: postgres://USER@HOST/DATABASE#NAME.",
            metavar="[SOURCE]...",
            show_default=False,
        ),
    ] = None,
    config: Config = None,
    column: Column = None,
    field: Field = None,
    id_pattern: IdPattern = None,
    allow_empty: AllowEmpty = None,
    until_idle_s: UntilIdle = None,
    rate: Annotated[float | None, typer.Option(help="Requests per second, at most. [5]")] = None,
    in_flight: Annotated[int | None, typer.Option(help="Requests at a time, at most. [10]")] = None,
    burst: Annotated[
        bool | None, typer.Option("--burst", help="Don't spread requests evenly.")
    ] = None,
    shape: Shape = None,
    compression: Compression = None,
    part_every_s: Annotated[
        str | None,
        typer.Option(
            "--part-every",
            metavar="TIME",
            help="Time after which rows are in a finished part, also while the run goes on."
            " \\[15m for a queue without --until-idle]",
        ),
    ] = None,
    score_bands: ScoreBands = None,
    retry: Annotated[
        str | None, typer.Option(help="More verdicts to retry, separated by commas.")
    ] = None,
    max_attempts: Annotated[int | None, typer.Option(help="Attempts at one ID. [6]")] = None,
    patience_s: Annotated[
        float | None,
        typer.Option("--patience", help="Seconds to wait for interactions under way. [900]"),
    ] = None,
    max_failed: MaxFailed = None,
    allow_none: Annotated[
        bool | None, typer.Option("--allow-none", help="A run without any result is no error.")
    ] = None,
    grace_s: Annotated[
        float | None, typer.Option("--grace", help="Seconds a stopped run waits for replies. [30]")
    ] = None,
    readers: Annotated[
        str | None,
        typer.Option(
            metavar="COUNT", help="Processes that read replies on other cores: 0 to 64. \\[auto]"
        ),
    ] = None,
    base_url: BaseUrl = None,
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
    until_settled: Annotated[
        bool,
        typer.Option("--until-settled", help="End when a shared export has nothing left to do."),
    ] = False,
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
    shared = _shared_export(sources or [], output, until_settled=until_settled)
    if shared is not None:
        _refuse_what_is_no_workers(options)

    import_aiohttp()
    from cxai.api.token import read_token
    from cxai.app import source_of
    from cxai.cli.process import export_as_command, run_to_end, work_as_command
    from cxai.observe.logging import LOG
    from cxai.observe.redaction import Redaction
    from cxai.settings import LogFormat
    from cxai.sources.line_counter import LineCounter
    from cxai.sources.redis_password import password_in_environment

    if proxy is not None and "@" in proxy:
        raise UsageError(
            "--proxy holds a user name or a password, which each user of this machine could see in"
            " the list of processes. Set CXAI_PROXY instead."
        )
    redaction = Redaction()
    as_json_log = os.environ.get("CXAI_LOG_FORMAT", "").lower() == LogFormat.JSON
    LOG.configure(redaction, as_json=as_json_log)  # for what refuses the settings
    settings = settings_of(options, config)
    LOG.configure(redaction, as_json=settings.log_format is LogFormat.JSON)
    token = read_token(settings.token_file)
    redaction.add(token)
    if shared is not None:
        work = work_as_command(settings, shared, token, until_settled=until_settled)
        finish(run_to_end(work), as_json=as_json)
    assert output is not None  # noqa: S101 - or it would have been refused
    if not sources and sys.stdin.isatty():
        say("cxai: reading IDs from the terminal, one a line; Ctrl-D ends.")
    source = source_of(settings, sources or [], token, password_in_environment())
    line_counter = LineCounter(sources or [], column=settings.column, field=settings.field)
    line_counter.start()
    work = export_as_command(
        settings,
        source,
        output,
        token,
        line_counter=line_counter,
        force=force,
        reopen_missing=reopen_missing,
    )
    finish(run_to_end(work), as_json=as_json)


def _shared_export(
    sources: Sequence[str], output: Path | None, *, until_settled: bool
) -> str | None:
    """Return the URL of the export to work at, None if this is a run into a directory."""
    shared = [name for name in sources if is_engine_url(name)]
    if not shared:
        if until_settled:
            raise UsageError("--until-settled is for an export that workers share (postgres://).")
        if output is None:
            raise UsageError("Missing option '--output' / '-o': name the directory of the export.")
        return None
    if len(sources) > 1:
        raise UsageError(
            "A worker works at one export: name its URL alone. Feed files or a queue into it with"
            " `cxai enqueue SOURCE --to URL`."
        )
    if output is not None:
        raise UsageError(
            "Leave --output out: where the objects of a shared export go was said to"
            " `cxai cluster init`."
        )
    return shared[0]


_OF_A_RUN = {
    # what a worker has no use for: what to do instead
    "column": "give it to `cxai enqueue`",
    "field": "give it to `cxai enqueue`",
    "id_pattern": "give it to `cxai enqueue`",
    "until_idle_s": "give it to `cxai enqueue`; a worker ends with --until-settled",
    "part_every_s": "`cxai cluster init … --flush` says how often objects are written",
    "force": "a shared export has no directory",
    "reopen_missing": "`cxai retry` queues IDs again",
}


def _refuse_what_is_no_workers(options: Mapping[str, Any]) -> None:
    for name, instead in _OF_A_RUN.items():
        if options[name]:
            option = name.removesuffix("_s").replace("_", "-")
            raise UsageError(f"--{option} has no use at a shared export: {instead}.")
