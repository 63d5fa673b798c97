"""How a command ends: with a report, or with an error in words; never with a traceback."""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import typer

from cxai.cli.streams import STDOUT, json_text, say, tell, unprinted
from cxai.errors import CxaiError, ExitCode, UsageError

if TYPE_CHECKING:  # takes long to import, and `cxai --help` needs none
    from cxai.inspect.report import Report


def finish(report: "Report", *, as_json: bool) -> NoReturn:
    """Print the report and exit with its code; with 2 if that is 0, but the report got lost."""
    import shutil  # noqa: PLC0415 - not for `cxai --help`

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    try:
        tell(json_text(report.as_dict()) if as_json else report.text(width))
    except UsageError as error:
        lost = (
            f"{error} Only the report is lost: the run itself ended with exit code"
            f" {int(report.exit_code)}, and `cxai status {report.export}` shows how."
        )
        fail("report_lost", lost, report.exit_code or error.exit_code)
    if report.exit_code and sys.stderr.isatty() and not sys.stdout.isatty():
        say(f"cxai: {report.ending.headline}")  # the report is not before the user's eyes
    raise typer.Exit(report.exit_code)


def exit_after(command_line: Callable[[], object]) -> NoReturn:
    """Run the command line and exit with its code, whatever it raises."""
    try:
        command_line()
    except CxaiError as error:
        fail("run_refused", str(error), error.exit_code)
    except OSError as error:
        if (own := _own_frames(error)) and own[-1].f_code.co_name != exit_after.__name__:
            fail("run_crashed", _our_fault(error), ExitCode.OUR_FAULT)
        # None of our commands had begun: it is the help that could not be printed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
        fail("run_refused", unprinted(error), ExitCode.USAGE)
    except Exception as error:  # noqa: BLE001 - the last one: nobody sees a traceback
        fail("run_crashed", _our_fault(error), ExitCode.OUR_FAULT)
    sys.exit(ExitCode.FINISHED)


def fail(event: str, message: str, code: ExitCode) -> NoReturn:
    """Say on standard error why the command failed, as an event of the log too, and exit."""
    from cxai.observe.logging import LOG  # noqa: PLC0415 - only a failure needs it

    LOG.end(event, exit_code=int(code), reason=message)
    if not LOG.as_json:
        say(f"cxai: {LOG.redacted(message)}")
    sys.exit(code)


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
