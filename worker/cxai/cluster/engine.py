"""A connection to PostgreSQL that opens when it is needed, and reopens after a failure.

No statement is ever repeated here: after a failure it is unknown whether it had an effect, and only
the caller can tell what that means. The wait for each answer is bounded, even if packets are lost.
"""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg

from cxai.cluster.engine_errors import EngineDownError, meaning_of
from cxai.cluster.url import EngineUrl
from cxai.errors import UsageError

ANSWER_S = 15.0
"""Seconds to wait for the answer to a statement; a commit, the slowest, takes milliseconds."""

CONNECT_S = 5
"""Seconds to wait for a connection to each host."""

_KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}

OLDEST = 140_000
"""PostgreSQL 14, as the server writes its version."""

Row = tuple[Any, ...]
Connection = psycopg.AsyncConnection[Row]

# Keep its warnings about queries that can't be cancelled off standard error.
logging.getLogger("psycopg").addHandler(logging.NullHandler())


class Engine:
    """One connection for one purpose: one statement at a time, in order.

    An answer that takes longer than `answer_s` seconds is a failure. Every method raises
    EngineDownError if the database can't be used now, and translates the refusals of books.sql into
    FencedError, IntegrityError or UsageError.
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
        """Run one statement as a transaction of its own; return its rows, if it has any."""
        async with self.connection() as connection:
            cursor = await connection.execute(statement.encode(), values, binary=True)
            return await cursor.fetchall() if cursor.description else []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Yield the open connection; nothing else uses it meanwhile."""
        async with self._one_at_a_time:
            try:
                connection = await self._connected()
                watch = asyncio.get_running_loop().call_later(self._answer_s, self._cut)
                try:
                    yield connection
                finally:
                    watch.cancel()
            except psycopg.Error as error:
                meaning = meaning_of(
                    error, self.url, is_late=self._is_late, was_connected=self._was_connected
                )
                if isinstance(meaning, EngineDownError):
                    await self.close()
                # Not `from error`: it may quote the values of the statement.
                raise meaning from None
            except asyncio.CancelledError:
                # Its late answer must not become that of the next statement.
                await self.close()
                raise

    async def close(self) -> None:
        """Close the connection; a statement under way may still have an effect."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                await connection.close()

    def _cut(self) -> None:
        """End the wait for an answer: the driver finds the connection closed.

        If the wait were cancelled instead, the driver would wait for the server to cancel.
        """
        self._is_late = True
        if self._connection is not None and not self._connection.closed:
            with suppress(OSError), socket.socket(fileno=os.dup(self._connection.fileno())) as own:
                own.shutdown(socket.SHUT_RDWR)

    async def _connected(self) -> Connection:
        self._is_late = False
        if self._connection is not None and not self._connection.closed:
            return self._connection
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
        # The settings of a role or a database must not weaken a commit.
        settings = {
            "search_path": ",".join(self.url.search_path),
            "synchronous_commit": "on",
            "default_transaction_isolation": r"read\ committed",
            "statement_timeout": limit_ms,
            **{f"tcp_{name}": value for name, value in _KEEPALIVES.items()},
        }
        ours = {
            "autocommit": True,
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
            "application_name": f"cxai {self._purpose}",
            "connect_timeout": CONNECT_S,
            **_KEEPALIVES,
            "tcp_user_timeout": limit_ms,
        }
        password = self.url.password()
        secret = {} if password is None else {"password": password}
        return {**ours, **self.url.place, **secret}
