"""`cxai run`: settings → token → source → export → report."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from cxai.cli.exits import finish, redaction_of_environment
from cxai.cli.help import Option, Page
from cxai.cli.options import AS_JSON, CONFIG, QUIET, SOURCES, VERBOSE, settings_of, settings_options
from cxai.cli.streams import say
from cxai.cli.tuning import import_aiohttp
from cxai.cli.values import Directory
from cxai.cluster.url import is_engine_url
from cxai.errors import UsageError
from cxai.settings import Settings
from cxai.settings.definition import option_of
from cxai.settings.settings import OUTPUT, RUN, WORKERS

_SETTINGS = [one.name for one in Settings.definitions() if one.group != WORKERS]


@click.command(
    cls=Page,
    params=[
        SOURCES,
        Option(
            ["-o", "--output"], type=Directory(), metavar="DIR", group=OUTPUT,
            help="Directory of the export. Required, unless SOURCE is a shared export.",
        ),
        Option(
            ["--force"], is_flag=True, group=OUTPUT,
            help="Use DIR although it contains files that no export wrote.",
        ),
        Option(
            ["--reopen-missing"], is_flag=True, group=OUTPUT,
            help="Retrieve the IDs of parts again whose files are missing and were not released.",
        ),
        AS_JSON,
        *settings_options(*_SETTINGS),
        Option(
            ["--until-settled"], is_flag=True, group=RUN,
            help="Exit once a shared export has no open ID left.",
        ),
        CONFIG,
        QUIET,
        VERBOSE,
    ],
    examples=[
        "cxai run ids.txt -o export/",
        "cxai run ids.csv --column call_id -o export/ --rate 20 --shape tables",
        "zcat ids.txt.gz | cxai run - -o export/ --max-failed 1% --json",
        "cxai run redis://queue.internal/0/calls -o export/ --until-idle 10m",
        "cxai run postgres://cxai@db.internal/cxai#nightly --until-settled",
    ],
)  # fmt: skip
def run(
    *,
    sources: Sequence[str],
    output: Path | None,
    config: str | None,
    until_settled: bool,
    reopen_missing: bool,
    force: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Retrieve the results of all IDs in SOURCE into a directory; rerun to resume.

    SOURCE may also be an export that workers share: postgres://USER@HOST/DATABASE#NAME. Each
    setting can also be given as an environment variable or in a TOML file: see `cxai config env`.
    """
    shared = _shared_export(sources, output, until_settled=until_settled)
    if shared is not None:
        _refuse_useless_options({**options, "force": force, "reopen_missing": reopen_missing})

    import_aiohttp()
    from cxai.api.token import read_token
    from cxai.app import source_of
    from cxai.cli.process import configure_log, export_as_command, run_to_end, work_as_command
    from cxai.core.events import EventStream
    from cxai.settings import LogFormat
    from cxai.sources.line_counter import LineCounter
    from cxai.sources.redis_password import password_in_environment
    from cxai.sources.registry import shown_names

    redaction, events = redaction_of_environment(), EventStream()
    settings = settings_of(options, config, quiet=quiet, verbose=verbose)
    configure_log(settings, redaction)  # for a refusal
    token = read_token(settings.token_file)
    redaction.add(token)
    if shared is not None:
        work = work_as_command(settings, shared, token, until_settled=until_settled)
        finish(run_to_end(work), as_json=as_json, quiet=quiet)
    assert output is not None  # noqa: S101 - _shared_export has refused that
    if not sources and sys.stdin.isatty() and settings.log_format is not LogFormat.JSON:
        say("cxai: reading IDs from the terminal, one a line; Ctrl-D ends.")
    source = source_of(settings, sources, token, password_in_environment(), events.emit)
    line_counter = LineCounter(sources, column=settings.column, field=settings.field)
    line_counter.start()
    work = export_as_command(
        settings,
        source,
        output,
        token,
        line_counter=line_counter,
        force=force,
        reopen_missing=reopen_missing,
        source_name=shown_names(sources),
        events=events,
    )
    finish(run_to_end(work), as_json=as_json, quiet=quiet)


def _shared_export(
    sources: Sequence[str], output: Path | None, *, until_settled: bool
) -> str | None:
    """Return the URL of the export to work on, None if this is a run into a directory."""
    if not any(map(is_engine_url, sources)):
        if until_settled:
            raise UsageError("--until-settled is for an export that workers share (postgres://).")
        if output is None:
            raise UsageError("Option --output DIR is missing: name the directory of the export.")
        return None
    if len(sources) > 1:
        raise UsageError(
            "A worker works on one export: name its URL alone. To add IDs to it, use"
            " `cxai enqueue SOURCE --to URL`."
        )
    if output is not None:
        raise UsageError(
            "Leave --output out: `cxai cluster init` has set where the objects of a shared export"
            " are written."
        )
    return sources[0]


_USELESS_WHERE_SHARED = {
    # what a worker has no use for: what to do instead
    "column": "give it to `cxai enqueue`",
    "field": "give it to `cxai enqueue`",
    "id_pattern": "give it to `cxai enqueue`",
    "until_idle_s": "give it to `cxai enqueue`; a worker ends with --until-settled",
    "part_every_s": "`cxai cluster init … --flush` sets how often objects are written",
    "force": "a shared export has no directory",
    "reopen_missing": "`cxai retry` queues IDs again",
}


def _refuse_useless_options(options: Mapping[str, Any]) -> None:
    for name, instead in _USELESS_WHERE_SHARED.items():
        if options[name]:
            raise UsageError(f"{option_of(name)} has no use at a shared export: {instead}.")
