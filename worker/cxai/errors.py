"""Errors that end a run, each with the exit code and the words for its user.

A message says what is wrong, where, and what to do. It never holds a token or a response body.
"""

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """What the process returns. FINISHED only if nothing is wrong (cxai/core/ending.py)."""

    FINISHED = 0
    ABOVE_THRESHOLD = 1
    USAGE = 2
    AUTHENTICATION = 3
    STOPPED = 4
    INTEGRITY = 5
    OUR_FAULT = 70


class StopCause(StrEnum):
    """What stopped a run before its end."""

    SIGNAL = "signal"
    CALLER = "caller"
    API = "api"
    INPUT = "input"
    DISK = "disk"
    DISK_FULL = "disk_full"
    STORAGE = "storage"
    TAKEN_OVER = "taken_over"


class CxaiError(Exception):
    """An expected way to fail. Shown as its message alone, without a traceback."""

    exit_code = ExitCode.OUR_FAULT


class UsageError(CxaiError):
    """The command, a setting, an input or an output directory can't be used as given."""

    exit_code = ExitCode.USAGE


class DirectoryInUseError(UsageError):
    """Another process uses the output directory: `owner`, such as `cxai run, process 123`."""

    def __init__(self, message: str, owner: str) -> None:
        super().__init__(message)
        self.owner = owner


class TokenRefusedError(CxaiError):
    """The API refused the token (401, 403). No ID was given a verdict for it."""

    exit_code = ExitCode.AUTHENTICATION


class StoppedError(CxaiError):
    """The run can't go on now, but the same command resumes it later. `by` says what stopped it."""

    exit_code = ExitCode.STOPPED

    def __init__(self, message: str, by: StopCause) -> None:
        super().__init__(message)
        self.by = by


class StopRequestedError(StoppedError):
    """Someone asked for the stop: `requester` is a signal's name, `Ctrl-C`, or the caller."""

    def __init__(self, requester: str, by: StopCause) -> None:
        super().__init__(f"Stopped by {requester}.", by)
        self.requester = requester


class InputBrokenError(StoppedError):
    """A source failed in the middle. What was read before it is processed and committed.

    `why` says what failed, in a sentence; the message says what to do as well.
    """

    def __init__(self, why: str) -> None:
        super().__init__(
            f"{why} What stood before is kept; fix the input and run the same command again.",
            StopCause.INPUT,
        )
        self.why = why


class CommitError(StoppedError):
    """The disk or the ledger failed under a batch. Nothing of that batch counts."""

    def __init__(self, message: str, by: StopCause = StopCause.DISK) -> None:
        super().__init__(message, by)


class BlockedError(CommitError):
    """A place that a run writes to can't be used for now; the same work may be tried again.

    `cause` says what is missing, in a phrase: room on a disk, or the connection to a database.
    `place` names what can't be used, in a phrase; empty, it is where the results go.
    """

    def __init__(
        self, message: str, cause: str, by: StopCause = StopCause.STORAGE, *, place: str = ""
    ) -> None:
        super().__init__(message, by)
        self.cause = cause
        self.place = place


class DiskFullError(BlockedError):
    """There was no room on the disk. What needed it was taken back whole, and may be tried again.

    `cause` says what there was no room for: bytes, inodes or a quota.
    """

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message, cause, StopCause.DISK_FULL)


class FencedError(StoppedError):
    """Others took this worker for dead, and its IDs: nothing that it does counts any more."""

    def __init__(self, message: str) -> None:
        super().__init__(message, StopCause.TAKEN_OVER)


class TermsChangedError(StoppedError):
    """The terms that a worker began with don't hold any more: it has to start over."""

    def __init__(self) -> None:
        super().__init__("The terms of the export have changed.", StopCause.TAKEN_OVER)


class IntegrityError(CxaiError):
    """Output and ledger contradict each other. Nothing was changed."""

    exit_code = ExitCode.INTEGRITY
