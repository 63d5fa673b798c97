"""The command line: argv → settings → app → exit code; nothing else.

Imports that cost time stand inside the commands, so that `cxai --help` answers at once.
"""

import os
import sys
import traceback
from enum import StrEnum
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from cxai import __version__
from cxai.defaults import defaults_file
from cxai.errors import CxaiError, ExitCode, UsageError
from cxai.output.registry import output_directory

_STDOUT, _STDERR = 1, 2

Choice = TypeVar("Choice", bound=StrEnum)

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


def _directory(text: str) -> Path:
    return output_directory(text, "The directory").path


Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", parser=_directory, metavar="DIR", help="Directory of the export."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Directory = Annotated[
    Path, typer.Argument(help="Directory of an export.", metavar="DIR", parser=_directory)
]


def _version(asked: bool) -> None:
    if asked:
        _tell(f"cxai-worker {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(
    help="Retrieve the results of all IDs in SOURCE into a directory; rerun to resume.\n\n"
    "The token comes from CXAI_API_TOKEN or --token-file. All settings, also those without an"
    f" option here: {defaults_file()}"
)
def run(  # noqa: D103 - its help stands above
    output: Output,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files with interaction IDs: text (one a line), CSV, JSON Lines; gzip or zstd;"
            " - or nothing for standard input.",
            metavar="[SOURCE]...",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="TOML file with settings.")
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="CSV column with the IDs: its name or number.")
    ] = None,
    field: Annotated[str | None, typer.Option(help="JSONL field with the IDs.")] = None,
    id_pattern: Annotated[
        str | None, typer.Option(help="Regular expression of an ID; GUIDs by default.")
    ] = None,
    allow_empty: Annotated[
        bool | None, typer.Option("--allow-empty", help="An input without any ID is no error.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Requests per second, at most. [5]")] = None,
    in_flight: Annotated[int | None, typer.Option(help="Requests at a time, at most. [10]")] = None,
    burst: Annotated[
        bool | None, typer.Option("--burst", help="Don't spread requests evenly.")
    ] = None,
    shape: Annotated[str | None, typer.Option(help="nested or tables. \\[nested]")] = None,
    compression: Annotated[str | None, typer.Option(help="none, gzip or zstd. \\[none]")] = None,
    score_bands: Annotated[Path | None, typer.Option(help="TOML file with score ranges.")] = None,
    retry: Annotated[
        str | None, typer.Option(help="Verdicts to ask again, separated by commas.")
    ] = None,
    max_attempts: Annotated[int | None, typer.Option(help="Attempts at one ID. [6]")] = None,
    patience: Annotated[
        float | None, typer.Option(help="Seconds to wait for interactions under way. [900]")
    ] = None,
    max_failed: Annotated[
        float | None, typer.Option(help="Share of IDs that may fail before exit code 1. [0]")
    ] = None,
    allow_none: Annotated[
        bool | None, typer.Option("--allow-none", help="A run without any result is no error.")
    ] = None,
    grace: Annotated[
        float | None, typer.Option(help="Seconds a stopped run waits for replies. [30]")
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
    from cxai.api.token import read_token
    from cxai.app import export
    from cxai.cli.descriptors import need_descriptors
    from cxai.core.entry import IdRule
    from cxai.core.secret import Secrets
    from cxai.observe.logging import LOG
    from cxai.observe.redaction import Redaction
    from cxai.settings import LogFormat, load_settings
    from cxai.sources.census import Census
    from cxai.sources.file import FileSource

    given = {
        "column": column,
        "field": field,
        "id_pattern": id_pattern,
        "allow_empty": allow_empty,
        "rate": rate,
        "in_flight": in_flight,
        "burst": burst,
        "shape": shape,
        "compression": compression,
        "score_bands": score_bands,
        "retry": retry,
        "max_attempts": max_attempts,
        "patience_s": patience,
        "max_failed": max_failed,
        "allow_none": allow_none,
        "grace_s": grace,
        "base_url": base_url,
        "token_file": token_file,
        "ca_file": ca_file,
        "proxy": proxy,
        "progress": progress,
    }
    if proxy is not None and "@" in proxy:
        raise UsageError(
            "--proxy holds a user name or a password, which each user of this machine could see in"
            " the list of processes. Set CXAI_PROXY instead."
        )
    as_json_log = os.environ.get("CXAI_LOG_FORMAT", "").lower() == LogFormat.JSON
    LOG.configure(Redaction(), as_json=as_json_log)  # for what refuses the settings
    settings = load_settings({k: v for k, v in given.items() if v is not None}, config)
    LOG.configure(Redaction(), as_json=settings.log_format is LogFormat.JSON)
    need_descriptors(settings.in_flight)
    token = read_token(settings.token_file)
    LOG.configure(Redaction(token), as_json=settings.log_format is LogFormat.JSON)
    secrets = Secrets(token.get_secret_value())
    if secrets.are_in(str(output)):
        raise UsageError(
            "The name of the output directory holds the API token. It is not shown here, but may be"
            " in your shell's history."
        )
    rule = IdRule(settings.id_pattern, secrets)
    source = FileSource(sources or [], rule, column=settings.column, field=settings.field)
    if not sources and sys.stdin.isatty():
        _say("cxai: reading IDs from the terminal, one a line; Ctrl-D ends.")
    source.check(allow_empty=settings.allow_empty)
    census = Census(source.paths)
    census.start()
    work = export(
        settings, source, output, token, census, force=force, reopen_missing=reopen_missing
    )
    _finish(_go(work), as_json=as_json)


@app.command()
def demo(
    output: Output = Path("demo-export"),
    ids: Annotated[int, typer.Option(min=1, help="How many IDs.")] = 300,
    rate: Annotated[float, typer.Option(help="Requests per second.")] = 40.0,
    progress: Annotated[str, typer.Option(help="auto, bar, lines or none.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Watch a real run against the built-in simulator: no token, no network, seconds."""
    from cxai.cli.demo import demo_export

    _finish(_go(demo_export(output, ids, rate, progress)), as_json=as_json)


@app.command()
def simulate(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any free one.")] = 8900,
    token: Annotated[str, typer.Option(help="The token that it accepts.")] = "simulated",  # noqa: S107
    scenario: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A named scenario; the other options change it."),
    ] = None,
    list_them: Annotated[bool, typer.Option("--list", help="List the scenarios, and end.")] = False,
    seed: Annotated[
        int | None, typer.Option(help="Another seed, other results and faults.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Requests per second that it allows.")] = None,
    in_flight: Annotated[int | None, typer.Option(help="Requests at a time it allows.")] = None,
    latency: Annotated[float | None, typer.Option(help="Seconds to each response.")] = None,
    outage: Annotated[float | None, typer.Option(help="Seconds that each outage lasts.")] = None,
    outage_every: Annotated[
        float | None, typer.Option(help="Seconds from one outage to the next. [20]")
    ] = None,
    token_after: Annotated[
        int | None, typer.Option(help="Requests after which another token counts.")
    ] = None,
    missing: Annotated[
        float | None, typer.Option(help="Share of IDs without a result (404).")
    ] = None,
    processing: Annotated[float | None, typer.Option(help="Share still being processed.")] = None,
    abandoned: Annotated[float | None, typer.Option(help="Share whose file never arrived.")] = None,
    failed: Annotated[float | None, typer.Option(help="Share that could not be processed.")] = None,
    throttled: Annotated[float | None, typer.Option(help="Share that gets a 429 first.")] = None,
    erring: Annotated[float | None, typer.Option(help="Share that gets a 5xx first.")] = None,
    slow: Annotated[float | None, typer.Option(help="Share that takes a second longer.")] = None,
    corrupt: Annotated[
        float | None, typer.Option(help="Share with a truncated body first.")
    ] = None,
    broken: Annotated[float | None, typer.Option(help="Share that gets 500 always.")] = None,
    garbled: Annotated[float | None, typer.Option(help="Share that gets HTML always.")] = None,
    faulty: Annotated[
        float | None, typer.Option(help="Share with the scenario's fault, or with any.")
    ] = None,
) -> None:
    """Run the API as a local server, with the limits and faults you choose, until Ctrl-C.

    Results are deterministic per ID. `GET /simulator/stats` tells what it was asked.
    """
    from dataclasses import replace

    from cxai.cli.demo import serve
    from cxai.simulator import Scenario
    from cxai.simulator.scenarios import listing, named

    if list_them:
        _tell(listing())
        return
    given: dict[str, Any] = {
        "seed": seed,
        "rate": rate,
        "in_flight": in_flight,
        "latency_s": latency,
        "outage_s": outage,
        "outage_every_s": outage_every,
        "token_after": token_after,
        "missing": missing,
        "processing": processing,
        "abandoned": abandoned,
        "failed": failed,
        "throttled": throttled,
        "erring": erring,
        "slow": slow,
        "corrupt": corrupt,
        "broken": broken,
        "garbled": garbled,
        "faulty": faulty,
    }
    try:
        base = Scenario() if scenario is None else named(scenario)
        chosen = replace(base, **{k: v for k, v in given.items() if v is not None})
    except ValueError as error:
        raise UsageError(str(error)) from None
    _go(serve(chosen, token, port, _tell))


@app.command()
def status(directory: Directory, as_json: AsJson = False) -> None:
    """Tell how far an export is, running or not."""
    from cxai.inspect.status import export_status

    found = export_status(directory)
    _tell(_json(found.as_dict()) if as_json else found.text())


@app.command()
def verify(
    directory: Directory,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="The input: then each of its lines should have a verdict, too.",
            metavar="[SOURCE]...",
            show_default=False,
        ),
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="CSV column with the IDs: its name or number.")
    ] = None,
    field: Annotated[str | None, typer.Option(help="JSONL field with the IDs.")] = None,
    id_pattern: Annotated[
        str, typer.Option(help="Regular expression of an ID.", show_default="GUIDs")
    ] = "",
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="An input without any ID is no error.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Hold every file of an export against its ledger; exit code 5 if they differ.

    Exit code 4 if all is intact, but lines of SOURCE have no verdict yet.
    """
    from cxai.api.token import VARIABLE
    from cxai.core.entry import GUID_PATTERN, IdRule
    from cxai.core.secret import Secrets
    from cxai.inspect.verify import verify_export
    from cxai.sources.file import FileSource

    if sources:
        token = os.environ.get(VARIABLE, "").strip()  # as an ID it is shown nowhere
        rule = IdRule(id_pattern or GUID_PATTERN, Secrets(token))
        source = FileSource(sources, rule, column=column, field=field)
        source.check(allow_empty=allow_empty)
        found = verify_export(directory, source.blocks())
    elif column is not None or field is not None or id_pattern or allow_empty:
        raise UsageError(
            "--column, --field, --id-pattern and --allow-empty are about an input: name it behind"
            " the directory, or - for standard input."
        )
    else:
        found = verify_export(directory)
    _tell(_json(found.as_dict()) if as_json else found.text())
    if found.exit_code is not ExitCode.FINISHED:
        raise typer.Exit(found.exit_code)


@app.command()
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
        _tell(_json(pruned.as_dict()) if as_json else pruned.text())
    except UsageError as error:
        done = f"{len(pruned.released)} parts were released and {len(pruned.deleted)} files deleted"
        raise UsageError(f"{error} Only this report is lost: {done}.") from None


@app.command()
def schema(
    part_set: Annotated[
        str | None,
        typer.Argument(
            metavar="[SET]",
            help="records, interactions, scores, segments or failures; by default records, and"
            " with --ddl all sets of the shape.",
            show_default=False,
        ),
    ] = None,
    ddl: Annotated[
        str | None,
        typer.Option(
            metavar="DIALECT",
            help="CREATE TABLE statements instead: duckdb, postgres, bigquery, snowflake, redshift"
            " or spark.",
        ),
    ] = None,
    shape: Annotated[
        str | None, typer.Option(help="With --ddl: tables (the default) or nested.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a page, all sets.")] = False,
) -> None:
    """Print the JSON Schema of the lines in a set of parts, or SQL that declares its table."""
    from cxai.resources.cx_ai.records import Shape
    from cxai.resources.cx_ai.schema import json_schema
    from cxai.resources.cx_ai.schema import markdown as page

    if ddl is not None and not markdown:
        _tell(_statements(part_set, ddl, shape))
        return
    sets = {**json_schema(Shape.NESTED), **json_schema(Shape.TABLES)}
    if shape is not None or ddl is not None:
        raise UsageError("--ddl and --shape go together, and without --markdown.")
    if (part_set or "records") not in sets:
        raise UsageError(f"There is no set {part_set!r}, but {', '.join(sets)}.")
    _tell(page().rstrip("\n") if markdown else _json(sets[part_set or "records"]))


def _statements(part_set: str | None, ddl_: str, shape: str | None) -> str:
    """Return the CREATE TABLE statements of a set, or of all sets of a shape."""
    from cxai.resources.cx_ai.records import PART_SETS, Shape
    from cxai.resources.cx_ai.schema import Dialect, ddl, tables_of

    dialect = _one_of(Dialect, ddl_, "--ddl")
    shapes = list(Shape) if shape is None else [_one_of(Shape, shape, "--shape")]
    if part_set is None:
        tables = tables_of(Shape.TABLES if shape is None else shapes[0])
    else:
        tables = tuple(t for s in shapes for t in tables_of(s) if t.name == part_set)[:1]
        if not tables:
            known = dict.fromkeys(name for s in shapes for name in PART_SETS[s])
            raise UsageError(f"There is no set {part_set!r} here, but {', '.join(known)}.")
    return "\n\n".join(ddl(table, dialect) for table in tables)


def _one_of(choices: type[Choice], text: str, option: str) -> Choice:
    try:
        return choices(text)
    except ValueError:
        known = ", ".join(choice.value for choice in choices)
        raise UsageError(f"{option} {text!r} is not understood; known are {known}.") from None


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    _open_standard_streams()
    try:
        app(standalone_mode=True)
    except CxaiError as error:
        _fail("run_refused", str(error), error.exit_code)
    except OSError as error:
        if (own := _own_frames(error)) and own[-1].f_code.co_name != main.__name__:
            _fail("run_crashed", _our_fault(error), ExitCode.OUR_FAULT)
        # None of our commands had begun: it is the help that could not be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
        _fail("run_refused", _unprinted(error), ExitCode.USAGE)
    except Exception as error:  # noqa: BLE001 - the last one: nobody sees a traceback
        _fail("run_crashed", _our_fault(error), ExitCode.OUR_FAULT)
    sys.exit(ExitCode.FINISHED)


def _fail(event: str, message: str, code: ExitCode) -> NoReturn:
    """Say on standard error why the command failed, as an event of the log too, and exit."""
    from cxai.observe.logging import LOG

    LOG.end(event, exit_code=int(code), reason=message)
    if not LOG.as_json:
        _say(f"cxai: {LOG.redacted(message)}")
    sys.exit(code)


def _open_standard_streams() -> None:
    """Fill descriptors 0 to 2 where they are closed: else a file of ours would become one.

    The first can't be read and the second not be written: an input that isn't there is not an empty
    one, and a report that goes nowhere is lost. What is said on standard error may be.
    """
    for number, access in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        if _is_closed(number):
            os.open(os.devnull, access)  # gets the lowest number that is free
    sys.stdin = sys.stdin or os.fdopen(0)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")
    # What can't be shown is replaced; on standard error it is escaped, as Python does by default.
    for stream, errors in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=errors)


def _is_closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False


def _our_fault(error: BaseException) -> str:
    """Say where it happened, and nothing of the values: a token might be among them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    where = ""
    if own := _own_frames(error):
        code = own[-1].f_code
        where = f" in {Path(code.co_filename).name}, {code.co_name}"
    return (
        f"an internal error, {type(error).__name__}{where}. That is our fault: please report it."
        " What is committed is safe; the same command goes on."
    )


def _own_frames(error: BaseException) -> list[FrameType]:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return [frame for frame in frames if "cxai" in Path(frame.f_code.co_filename).parts]


def _unprinted(error: OSError) -> str:
    return f"Can't write to standard output: {error.strerror}."


def _tell(text: str) -> None:
    """Print what was asked for. Raises UsageError if it can't be; a reader may leave early."""
    try:
        typer.echo(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
        if not isinstance(error, BrokenPipeError):
            raise UsageError(_unprinted(error)) from None


def _say(text: str) -> None:
    """Print on standard error; where that can't be, the exit code remains."""
    try:
        typer.echo(text, err=True)
        sys.stderr.flush()
    except OSError:
        # What is left in the buffer would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDERR)


def _go(work: Any) -> Any:
    import asyncio

    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _finish(report: Any, *, as_json: bool) -> NoReturn:
    """Print the report and exit with its code; with 2 if that is 0, but the report got lost."""
    import shutil

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    try:
        _tell(_json(report.as_dict()) if as_json else report.text(width))
    except UsageError as error:
        lost = (
            f"{error} Only the report is lost: the run itself ended with exit code"
            f" {int(report.exit_code)}, and `cxai status {report.output}` shows how."
        )
        _fail("report_lost", lost, report.exit_code or error.exit_code)
    if report.exit_code and sys.stderr.isatty() and not sys.stdout.isatty():
        _say(f"cxai: {report.ending.headline}")  # the report is not before the user's eyes
    raise typer.Exit(report.exit_code)


def _json(value: Any) -> str:
    """Return JSON that survives the encoding of standard output, whatever that is."""
    import json

    import orjson

    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    if text.isascii() or (sys.stdout.encoding or "").lower().replace("_", "-") == "utf-8":
        return text
    return json.dumps(json.loads(text), indent=2)
