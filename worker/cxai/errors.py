"""Errors that end a run, each with its exit code and a message for the user.

A message has the problem, its place and the remedy. It never contains a token or a response body.
"""

from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """The exit code of the process; FINISHED only if nothing is wrong (cxai/core/ending.py)."""

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
    """An expected failure, shown as its message only, without a traceback."""

    exit_code = ExitCode.OUR_FAULT


class UsageError(CxaiError):
    """The command, a setting, an input or an output directory can't be used as given."""

    exit_code = ExitCode.USAGE


class DirectoryInUseError(UsageError):
    """Another process uses the output directory: `owner`, such as `cxai run, process 123`."""

    def __init__(self, directory: object, purpose: str, owner: str) -> None:
        self.owner = owner
        message = (
            f"{directory} is in use by {owner}. `cxai {purpose}` needs exclusive access: wait until"
            " that ends"
        )
        if self.may_be_a_run:
            message += (
                ", or stop it with SIGTERM or Ctrl-C (nothing is lost, and the same command resumes"
                f" it later). `cxai status {directory}` shows its progress"
            )
        super().__init__(f"{message}.")

    @property
    def may_be_a_run(self) -> bool:
        """Whether the owner is a run, or unknown: it may have just begun."""
        return self.owner.startswith("cxai run,") or not self.owner.startswith("cxai ")


class TokenRefusedError(CxaiError):
    """The API refused the token (401, 403). No ID gets a verdict for that."""

    exit_code = ExitCode.AUTHENTICATION


class StoppedError(CxaiError):
    """The run can't continue now; the same command resumes it later. `by` is the cause."""

    exit_code = ExitCode.STOPPED

    def __init__(self, message: str, by: StopCause) -> None:
        super().__init__(message)
        self.by = by


class StopRequestedError(StoppedError):
    """A stop was requested by `requester`: a signal's name, `Ctrl-C`, or the caller."""

    def __init__(self, requester: str, by: StopCause) -> None:
        super().__init__(f"Stopped by {requester}.", by)
        self.requester = requester


class InputBrokenError(StoppedError):
    """A source failed during the run: `why`, in a sentence. What was read before is committed."""

    def __init__(self, why: str) -> None:
        remedy = "Everything read before that is kept. Fix the input and rerun the same command."
        super().__init__(f"{why} {remedy}", StopCause.INPUT)
        self.why = why


class CommitError(StoppedError):
    """The disk or the ledger failed during a batch. Nothing of that batch counts."""

    def __init__(self, message: str, by: StopCause = StopCause.DISK) -> None:
        super().__init__(message, by)


class BlockedError(CommitError):
    """A place that a run writes to is temporarily unusable; the same work may be retried.

    `cause` is the reason, and `place` what is unusable (empty: the output), each in a phrase.
    """

    def __init__(
        self, message: str, cause: str, by: StopCause = StopCause.STORAGE, *, place: str = ""
    ) -> None:
        super().__init__(message, by)
        self.cause = cause
        self.place = place


class DiskFullError(BlockedError):
    """The disk is full: `cause` names bytes, inodes or a quota. The write was undone completely."""

    def __init__(self, message: str, cause: str) -> None:
        super().__init__(message, cause, StopCause.DISK_FULL)


class FencedError(StoppedError):
    """Other workers considered this one dead and took over its IDs: its work no longer counts."""

    def __init__(self, message: str) -> None:
        super().__init__(message, StopCause.TAKEN_OVER)


class TermsChangedError(StoppedError):
    """The terms of the export have changed since the worker started: it must start again."""

    def __init__(self) -> None:
        super().__init__("The terms of the export have changed.", StopCause.TAKEN_OVER)


class IntegrityError(CxaiError):
    """Output and ledger contradict each other. Nothing was changed."""

    exit_code = ExitCode.INTEGRITY
