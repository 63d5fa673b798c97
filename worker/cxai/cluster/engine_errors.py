"""What a failure of PostgreSQL means for a worker: wait, stop, or tell the user what to change."""

import re
from collections.abc import Mapping

import psycopg
from psycopg import errors as pg

from cxai.cluster.url import PASSWORD_FILE_VARIABLE, EngineUrl
from cxai.errors import BlockedError, CxaiError, FencedError, IntegrityError, UsageError


class EngineDownError(BlockedError):
    """The engine can't be reached, or can't work, now. Whether the statement counts is unknown."""

    def __init__(self, place: object, cause: str) -> None:
        super().__init__(
            f"The database {place} can't be used now: {cause}.",
            cause,
            place=f"the database {place}",
        )


_FENCED = "This worker was taken for dead, and others have its IDs. None of them is lost."
_UNSETTLED = (
    "{} contradicts this worker: an ID that was to be settled is settled already, or is in no block"
    " of this worker. Nothing was changed. Please report this, with the log."
)
_RESTORED = (
    "{} knows fewer objects than before: it was restored to an earlier point. Nothing was changed."
    " Stop all workers, and restore a later state of it, or begin a new export."
)
_NO_EXPORT = (
    "{} has no export of that name, or is not of this version: `cxai cluster init` creates and"
    " upgrades it."
)

_REFORMED = "{} has been given another form of this export: start this worker again."

_REFUSED: Mapping[str, tuple[type[CxaiError], str]] = {
    "CX001": (FencedError, _FENCED),
    "CX002": (IntegrityError, _UNSETTLED),
    "CX003": (IntegrityError, _RESTORED),
    "CX004": (UsageError, _REFORMED),
    "3F000": (UsageError, _NO_EXPORT),
    "42P01": (UsageError, _NO_EXPORT),
    "42883": (UsageError, _NO_EXPORT),
    "42501": (UsageError, "{} doesn't let this user do that: it needs rights on its schemas."),
}
"""What the engine's refusals mean. The first four are those of books.sql."""

_ON_PASSWORDS = f" Set PGPASSWORD or {PASSWORD_FILE_VARIABLE}, or use a password file (PGPASSFILE)."
_ON_POOLS = " Connect to PostgreSQL itself, not to a pool whose clients share sessions."

# What passes by itself, or by what an operator does: connections, room, locks, a replica.
_PASSING = re.compile(r"08|25006|40001|40P01|53|55P03|57|58030")

# What doesn't pass, by the engine's words, since a refused login has no code here.
_WRONG_LOGIN = re.compile(
    r"authentication failed|no password supplied|does not exist|no pg_hba\.conf entry|"
    r"certificate|SSL was required|does not support SSL|could not translate host name|"
    r"Name or service not known|unsupported startup parameter|passfile|root certificate"
)


def meaning_of(
    error: psycopg.Error, url: EngineUrl, *, is_late: bool, was_connected: bool
) -> Exception:
    """Return what a failure of the engine means; the failure itself if none is known.

    `is_late` is whether its answer was not waited for any longer, `was_connected` whether this
    process has ever been connected.
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
    # Once it was right, it may be about to be set right again.
    if not was_connected and _WRONG_LOGIN.search(cause):
        return UsageError(f"{place} can't be used: {cause}.{_advice_on(cause)}")
    return EngineDownError(url, cause)


def _advice_on(cause: str) -> str:
    if "password" in cause:
        return _ON_PASSWORDS
    return _ON_POOLS if "startup parameter" in cause else ""


def _words_of(error: psycopg.Error) -> str:
    """Return the engine's own words, as a phrase; of several hosts, those of the first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    words = re.sub(r"^.*failed: (FATAL: +)?", "", lines[0] if lines else "").rstrip(".")
    words = words or "the connection was lost"
    return words[0].lower() + words[1:] if words[1:2].islower() else words
