"""What a failure of PostgreSQL means for a run: wait, stop, or ask the user for a change."""

import re
from collections.abc import Mapping

import psycopg
from psycopg import errors as pg

from cxai.cluster.url import PASSWORD_FILE_VARIABLE, EngineUrl
from cxai.errors import BlockedError, CxaiError, FencedError, IntegrityError, UsageError


class EngineDownError(BlockedError):
    """The database can't be used now. Whether the statement had an effect is unknown."""

    def __init__(self, place: object, cause: str) -> None:
        message = f"The database {place} can't be used now: {cause}."
        super().__init__(message, cause, place=f"the database {place}")


_FENCED = "This worker was declared gone, and others have its IDs. None of them is lost."
_UNSETTLED = (
    "{} contradicts this worker: an ID of this commit already has a verdict, or is in no block of"
    " this worker. Nothing was changed. Please report this, with the log."
)
_RESTORED = (
    "{} has fewer objects than before: it was restored to an earlier point. Nothing was changed."
    " Stop all workers, then restore a later state of it or begin a new export."
)
_NO_EXPORT = (
    "{} has no export of that name, or its tables are of another version: `cxai cluster init`"
    " creates and upgrades it."
)
_REFORMED = "{} has changed the form of this export since this worker started: restart the worker."

_REFUSED: Mapping[str, tuple[type[CxaiError], str]] = {
    "CX001": (FencedError, _FENCED),
    "CX002": (IntegrityError, _UNSETTLED),
    "CX003": (IntegrityError, _RESTORED),
    "CX004": (UsageError, _REFORMED),
    "3F000": (UsageError, _NO_EXPORT),
    "42P01": (UsageError, _NO_EXPORT),
    "42883": (UsageError, _NO_EXPORT),
    "42501": (UsageError, "{} denies this user access: it needs rights on the schemas of cxai."),
}
"""Error codes of refusals. The first four are those of books.sql."""

_ON_PASSWORDS = f" Set PGPASSWORD or {PASSWORD_FILE_VARIABLE}, or use a password file (PGPASSFILE)."
_ON_POOLS = " Connect to PostgreSQL directly, or through a pool in session mode."

# Codes of failures that pass, some with an operator's help: connections, space, locks, a replica.
_PASSING = re.compile(r"08|25006|40001|40P01|53|55P03|57|58030")

# Messages of failures that don't pass: the driver has no code for a refused login.
_WRONG_LOGIN = re.compile(
    r"authentication failed|no password supplied|does not exist|no pg_hba\.conf entry|"
    r"certificate|SSL was required|does not support SSL|could not translate host name|"
    r"Name or service not known|unsupported startup parameter|passfile|root certificate"
)


def meaning_of(
    error: psycopg.Error, url: EngineUrl, *, is_late: bool, was_connected: bool
) -> Exception:
    """Return the error that a failure of the database means, or the failure itself if unexpected.

    `is_late` is whether the answer took too long, `was_connected` whether this process has ever
    been connected.
    """
    place = f"The database {url}"
    code = error.sqlstate or ""
    if code in _REFUSED:
        kind, words = _REFUSED[code]
        return kind(words.format(place))
    if isinstance(error, pg.UniqueViolation):
        return IntegrityError(_UNSETTLED.format(place))
    if not _PASSING.match(code) and (code or not isinstance(error, psycopg.OperationalError)):
        return error
    cause = "no answer in time" if is_late else _words_of(error)
    # A login that has worked may work again.
    if not was_connected and _WRONG_LOGIN.search(cause):
        advice = _ON_PASSWORDS if "password" in cause else ""
        advice = advice or (_ON_POOLS if "startup parameter" in cause else "")
        return UsageError(f"{place} can't be used: {cause}.{advice}")
    return EngineDownError(url, cause)


def _words_of(error: psycopg.Error) -> str:
    """Return the server's message as a phrase; of several hosts, that of the first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    words = re.sub(r"^.*failed: (FATAL: +)?", "", lines[0] if lines else "").rstrip(".")
    words = words or "the connection was lost"
    return words[0].lower() + words[1:] if words[1:2].islower() else words
