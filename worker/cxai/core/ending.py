"""How a run ended: its exit code, the reason and the headline are decided here and nowhere else.

A run is green only if the input held an ID, there is a result (of this or an earlier run), no more
failed than allowed, and the counters add up. Every other headline states what is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cxai.core.figures import counted, percent, verb
from cxai.core.tally import Tally
from cxai.errors import (
    CxaiError,
    ExitCode,
    IntegrityError,
    StopCause,
    StoppedError,
    StopRequestedError,
)
from cxai.policy.verdict import Verdict


class Reason(StrEnum):
    """Why a run ended, as a stable word for programs."""

    FINISHED = "finished"
    TOO_MANY_FAILED = "too_many_failed"
    NO_RESULT = "no_result"
    EMPTY_INPUT = "empty_input"
    NO_VALID_ID = "no_valid_id"
    USAGE = "usage"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a reason
    STOPPED = "stopped"
    UNFETCHED = "unfetched"
    CONTRADICTION = "contradiction"
    OUR_FAULT = "our_fault"


_OF_A_STOP: Mapping[ExitCode, Reason] = {
    ExitCode.USAGE: Reason.USAGE,
    ExitCode.AUTHENTICATION: Reason.TOKEN_REFUSED,
    ExitCode.STOPPED: Reason.STOPPED,
    ExitCode.INTEGRITY: Reason.CONTRADICTION,
    ExitCode.OUR_FAULT: Reason.OUR_FAULT,
}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What the user does not count as an error.

    `max_failed` is the share (0 to 1) of IDs and invalid lines that may fail; `allow_empty` permits
    an input without IDs, `allow_none` a run without results.
    """

    max_failed: float
    allow_empty: bool
    allow_none: bool


@dataclass(frozen=True, slots=True)
class Ending:
    """The exit code of a run, its reason, and a sentence with both for people."""

    exit_code: ExitCode
    reason: Reason
    headline: str


def ending(tally: Tally, tolerance: Tolerance, stopped_by: CxaiError | None) -> Ending:
    """Return how a run with these counters ended; `stopped_by` is None if nothing stopped it.

    Counters that don't add up outweigh what stopped the run, and that outweighs failures.
    """
    if not tally.adds_up or (stopped_by is None and tally.open):
        return Ending(ExitCode.INTEGRITY, Reason.CONTRADICTION, _does_not_add_up(stopped_by))
    if stopped_by is not None:
        code = stopped_by.exit_code
        return Ending(code, _OF_A_STOP[code], _stopped(stopped_by))
    if tally.unfetched:
        return _not_green(Reason.UNFETCHED, _unfetched(tally))
    return _finished(tally, tolerance)


def may_be_closed(stopped_by: CxaiError | None) -> bool:
    """Whether a run may be closed: its parts sealed, its manifest written, its end recorded.

    Not while it is unknown what is durable, or what files and ledger hold, which the next start
    recovers. After a full disk that is known, since an incomplete write is undone.
    """
    on_disk = isinstance(stopped_by, StoppedError) and stopped_by.by is StopCause.DISK
    return not on_disk and not isinstance(stopped_by, IntegrityError)


def weightier(stopped_by: CxaiError | None, on_closing: CxaiError) -> CxaiError:
    """Return which error describes the end of a run that then could not be closed.

    That is the one that stopped it, unless closing has shown that files and ledger disagree.
    """
    disagree = isinstance(on_closing, IntegrityError)
    return on_closing if stopped_by is None or disagree else stopped_by


def _finished(tally: Tally, tolerance: Tolerance) -> Ending:
    if not tally.ids and tally.invalid:
        lines = counted(tally.invalid, "lines")
        return _not_green(Reason.NO_VALID_ID, f"the input has no valid ID in {lines}")
    if not tally.ids:
        if tolerance.allow_empty:
            return _green("the input has no IDs, which --allow-empty permits.")
        return _not_green(Reason.EMPTY_INPUT, "the input has no IDs")
    ids = counted(tally.ids, "IDs")
    if not tally.verdicts[Verdict.OK] and not tolerance.allow_none:
        return _not_green(Reason.NO_RESULT, f"0 of {ids} {verb(tally.ids, 'have')} a result")
    limit = f"--max-failed {100 * tolerance.max_failed:.12g} %"
    if tally.failed_share > tolerance.max_failed:
        failures = _failures(tally, tolerance)
        return _not_green(Reason.TOO_MANY_FAILED, f"{failures}, above {limit}")
    what = f"{tally.ids - tally.failed_ids:,} of {ids} completed"
    if not tally.verdicts[Verdict.OK]:
        what += "; no ID has a result, which --allow-none permits"
    if tally.failed:
        what += f"; {_failures(tally, tolerance)}, within {limit}"
    return _green(f"{what}.")


def _green(what: str) -> Ending:
    return Ending(ExitCode.FINISHED, Reason.FINISHED, f"Finished: {what}")


_CODES: Mapping[Reason, ExitCode] = {
    Reason.TOO_MANY_FAILED: ExitCode.ABOVE_THRESHOLD,
    Reason.NO_RESULT: ExitCode.ABOVE_THRESHOLD,
    Reason.EMPTY_INPUT: ExitCode.USAGE,
    Reason.NO_VALID_ID: ExitCode.USAGE,
    Reason.UNFETCHED: ExitCode.STOPPED,
}


def _not_green(reason: Reason, what: str) -> Ending:
    code = _CODES[reason]
    return Ending(code, reason, f"Finished, but {what}: exit code {code.value}.")


def _failures(tally: Tally, tolerance: Tolerance) -> str:
    """Return how many IDs failed, how many lines are invalid, and their share of all."""
    share = percent(tally.failed, tally.ids + tally.invalid, (tolerance.max_failed,))
    ids = f"{tally.failed_ids:,} of {counted(tally.ids, 'IDs')}"
    lines = f"{counted(tally.invalid, 'lines')} {verb(tally.invalid, 'have')} no valid ID"
    if not tally.invalid:
        return f"{ids} ({share}) failed"
    if not tally.failed_ids:
        return f"{lines} ({share})"
    return f"{ids} failed and {lines} ({share} in all)"


def _unfetched(tally: Tally) -> str:
    ids = counted(tally.unfetched, "IDs")
    have, are = verb(tally.unfetched, "have"), verb(tally.unfetched, "are")
    return f"{ids} of lost parts {have} no verdict yet and {are} not in this input"


def _stopped(by: CxaiError) -> str:
    if isinstance(by, StopRequestedError):
        return f"Stopped early by {by.requester}."
    return f"Stopped early: {by}"


def _does_not_add_up(stopped_by: CxaiError | None) -> str:
    what = "The counts of this run do not add up: exit code 5."
    return what if stopped_by is None else f"{_stopped(stopped_by)} {what}"
