"""A connection to PostgreSQL that is opened when it is needed, and again after it broke.

No statement is ever repeated here: after a failure it is unknown whether it had an effect, and only
its caller knows what that means. Every failure comes within seconds, also if the network drops
packets or the engine hangs: the wait for each answer is bounded.
"""

import asyncio
import logging
import os
import re
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors as pg

from cxai.cluster.url import PASSWORD_FILE_VARIABLE, EngineUrl
from cxai.errors import BlockedError, CxaiError, FencedError, IntegrityError, UsageError

ANSWER_S = 15.0
"""Seconds to wait for the answer to a statement; the longest, a commit, takes milliseconds."""

CONNECT_S = 5
"""Seconds to wait for a connection to each host."""

OLDEST = 140_000
"""PostgreSQL 14, as the engine writes its version."""

Row = tuple[Any, ...]
Connection = psycopg.AsyncConnection[Row]


class EngineDownError(BlockedError):
    """The engine can't be reached, or can't work, now. Whether the statement counts is unknown."""

    def __init__(self, place: object, lacking: str) -> None:
        super().__init__(f"The database {place} can't be used now: {lacking}.", lacking)


# A query that can't be cancelled is not worth a line of its own on standard error.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

_FENCED = (
    "This worker was taken for dead, and others have its IDs. None of them is lost: start it again."
)
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


class Engine:
    """One connection for one purpose: a statement at a time, in order. Making it does no IO.

    An answer that takes longer than `answer_s` seconds is a failure.
    Every method raises EngineDownError if the engine can't be used now, and what the refusals of
    books.sql mean: FencedError, IntegrityError or UsageError.
    """

    def __init__(self, url: EngineUrl, *, purpose: str, answer_s: float = ANSWER_S) -> None:
        self.url = url
        self._purpose = purpose
        self._answer_s = answer_s
        self._connection: Connection | None = None
        self._was_connected = False
        self._is_late = False
        self._one_at_a_time = asyncio.Lock()

    async def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one statement, a transaction of its own, and return its rows, if it has any."""
        async with self.connection() as connection:
            cursor = await connection.execute(statement.encode(), values, binary=True)
            return await cursor.fetchall() if cursor.description else []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Enter the open connection; nothing else uses it until the end."""
        async with self._one_at_a_time:
            try:
                connection = await self._connected()
                watch = asyncio.get_running_loop().call_later(self._answer_s, self._cut)
                try:
                    yield connection
                finally:
                    watch.cancel()
            except psycopg.Error as error:
                meaning = self._meaning_of(error)
                if isinstance(meaning, EngineDownError):
                    await self.close()
                # Not `from error`: it may quote what was asked of the engine.
                raise meaning from None
            except asyncio.CancelledError:
                # A late answer must never be taken for that to the next statement.
                await self.close()
                raise

    async def close(self) -> None:
        """Let go of the connection; what was under way on it may still have an effect."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                await connection.close()

    def _cut(self) -> None:
        """End the wait for an answer: the driver finds the connection closed.

        Cancelling the wait instead would ask the engine to cancel, and wait for that as well.
        """
        self._is_late = True
        if self._connection is not None and not self._connection.closed:
            with suppress(OSError), socket.socket(fileno=os.dup(self._connection.fileno())) as own:
                own.shutdown(socket.SHUT_RDWR)

    async def _connected(self) -> Connection:
        self._is_late = False
        connection = self._connection
        if connection is not None and not connection.closed:
            return connection
        connection = await psycopg.AsyncConnection.connect(**self._how_to_connect())
        self._connection = connection
        self._was_connected = True
        version = connection.info.server_version
        if version < OLDEST:
            await self.close()
            raise UsageError(
                f"The database {self.url} is PostgreSQL {version // 10_000}; version 14 or newer is"
                " needed."
            )
        return connection

    def _how_to_connect(self) -> dict[str, Any]:
        limit_ms = round(1000 * self._answer_s)
        # What a role or the database has set otherwise must not weaken a commit.
        settings = (
            f"search_path={','.join(self.url.search_path)}",
            "synchronous_commit=on",
            r"default_transaction_isolation=read\ committed",
            f"statement_timeout={limit_ms}",
            "tcp_keepalives_idle=10",
            "tcp_keepalives_interval=5",
            "tcp_keepalives_count=3",
        )
        ours = {
            "autocommit": True,
            "options": " ".join(f"-c {setting}" for setting in settings),
            "application_name": f"cxai {self._purpose}",
            "connect_timeout": CONNECT_S,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": limit_ms,
        }
        password = self.url.password()
        secret = {} if password is None else {"password": password}
        return {**ours, **self.url.place, **secret}

    def _meaning_of(self, error: psycopg.Error) -> Exception:
        """Return what a failure of the engine means; the failure itself if none is known."""
        place = f"The database {self.url}"
        code = error.sqlstate or ""
        if code in _REFUSED:
            kind, words = _REFUSED[code]
            return kind(words.format(place))
        if isinstance(error, pg.UniqueViolation):
            return IntegrityError(_UNSETTLED.format(place))
        if not _PASSING.match(code) and (code or not isinstance(error, psycopg.OperationalError)):
            return error
        lacking = "no answer in time" if self._is_late else _words_of(error)
        # Once it was right, it may be about to be set right again.
        if not self._was_connected and _WRONG_LOGIN.search(lacking):
            return UsageError(f"{place} can't be used: {lacking}.{_advice_on(lacking)}")
        return EngineDownError(self.url, lacking)


def _advice_on(lacking: str) -> str:
    if "password" in lacking:
        return _ON_PASSWORDS
    return _ON_POOLS if "startup parameter" in lacking else ""


def _words_of(error: psycopg.Error) -> str:
    """Return the engine's own words, as a phrase; of several hosts, those of the first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    words = re.sub(r"^.*failed: (FATAL: +)?", "", lines[0] if lines else "").rstrip(".")
    words = words or "the connection was lost"
    return words[0].lower() + words[1:] if words[1:2].islower() else words
