"""How a command ends: with a report, or with an error in words."""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from cxai.api.token import VARIABLE as TOKEN_VARIABLE
from cxai.cli.early_format import is_log_json
from cxai.cli.streams import json_text, say, tell
from cxai.core.events import Level
from cxai.core.secret_str import SecretStr
from cxai.errors import CxaiError, ExitCode, UsageError
from cxai.settings.variables import DEBUG_VARIABLE

if TYPE_CHECKING:  # take long to import
    from cxai.cluster.feeding import FeedReport
    from cxai.inspect.report import Report
    from cxai.inspect.verify.findings import Findings
    from cxai.observe.logging import Log
    from cxai.observe.redaction import Redaction


def is_debugging() -> bool:
    """Whether CXAI_DEBUG asks for tracebacks and for the log of level debug."""
    return os.environ.get(DEBUG_VARIABLE, "0") not in {"", "0"}


def finish(report: "Report", *, as_json: bool, quiet: bool = False) -> NoReturn:
    """Print the report and exit with its code; with 2 if that is 0, but the report got lost.

    If `quiet`, a report for people is printed only if something is wrong.
    """
    import shutil  # noqa: PLC0415 - not for `cxai --help`

    if quiet and not as_json and not report.exit_code:
        sys.exit()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    try:
        tell(json_text(report.as_dict()) if as_json else report.text(width))
    except UsageError as error:
        lost = (
            f"{error} Only the report is lost: the run itself ended with exit code"
            f" {int(report.exit_code)}, and `cxai status {report.export}` shows how."
        )
        fail("report_lost", lost, report.exit_code or error.exit_code)
    # On a terminal the log leaves the reason to the report, which may have gone elsewhere.
    is_seen = sys.stdout.isatty() and not as_json
    if report.exit_code and not is_seen and sys.stderr.isatty() and not _log().as_json:
        say(f"cxai: {report.ending.headline}")
    sys.exit(report.exit_code)


def finish_with(
    result: "FeedReport | Findings",
    event: str,
    headline: str,
    *,
    as_json: bool,
    quiet: bool = False,
) -> NoReturn:
    """Print a result as `finish` does; `headline` explains it if the text isn't shown."""
    if quiet and not as_json and not result.exit_code:
        sys.exit()
    tell(json_text(result.as_dict()) if as_json else result.text())
    if result.exit_code and (as_json or not sys.stdout.isatty()):
        fail(event, headline, result.exit_code)
    sys.exit(result.exit_code)


def exit_after(command_line: Callable[[], object]) -> NoReturn:
    """Run the command line and exit with its code, whatever it raises."""
    try:
        command_line()
    except CxaiError as error:
        fail("run_refused", str(error), error.exit_code)
    except Exception as error:  # noqa: BLE001 - the last resort
        _crash(error)
    sys.exit(ExitCode.FINISHED)


def fail(event: str, message: str, code: ExitCode, **values: Any) -> NoReturn:
    """Explain on standard error why the command failed, once, and exit."""
    from cxai.core.events import EventStream  # noqa: PLC0415 - only a failure needs it

    events = EventStream()
    events.attach(_log().see)
    events.emit(event, text=message, exit_code=int(code), **values)
    sys.exit(code)


def redaction_of_environment() -> "Redaction":
    """Return the redaction of a log until the token is read: it hides that of the environment."""
    from cxai.observe.redaction import Redaction  # noqa: PLC0415 - not for `cxai --help`

    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    return Redaction(SecretStr(token) if token else None)


def configure_early_log(*, as_json: bool, level: Level = Level.INFO) -> "Log":
    """Return the log, configured for what precedes the run."""
    from cxai.observe.logging import LOG  # noqa: PLC0415 - few command lines need it

    LOG.configure(redaction_of_environment(), as_json=as_json, level=level)
    return LOG


def _log() -> "Log":
    """Return the log, in its early format if nothing has configured it."""
    from cxai.observe.logging import LOG  # noqa: PLC0415 - only a failure needs it

    return LOG if LOG.is_configured else configure_early_log(as_json=is_log_json())


def _crash(error: Exception) -> NoReturn:
    """Explain an internal error. It is shown without values: a token might be among them."""
    message, values = _our_fault(error), {}
    if is_debugging():
        trace = "".join(traceback.format_exception(error))
        if _log().as_json:
            values = {"traceback": trace}
        else:
            message += f"\n\n{trace}"
    fail("run_crashed", message, ExitCode.OUR_FAULT, **values)


def _our_fault(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    own = [code for code in codes if "cxai" in Path(code.co_filename).parts]
    where = f" in {Path(own[-1].co_filename).name}, {own[-1].co_name}" if own else ""
    more = "" if is_debugging() else f" {DEBUG_VARIABLE}=1 shows a traceback."
    return (
        f"Internal error: {type(error).__name__}{where}. This is a bug in cxai: please report it."
        f" What is committed is safe; rerun the same command to resume.{more}"
    )
