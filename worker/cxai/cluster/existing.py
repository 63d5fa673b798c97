"""What a database already has: whether it can hold an export, which version, which export."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cxai.cluster.engine import Connection, Engine, Row
from cxai.cluster.url import ACCOUNT_SCHEMA, EngineUrl
from cxai.errors import UsageError

# Whether the server is read-only, and whether it syncs its commits to disk.
_FITNESS = """
SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool,
    current_setting('fsync')::bool
"""


@dataclass(frozen=True, slots=True)
class Existing:
    """What exists: `form` is None without the export, `limits` are empty without its account."""

    form: Mapping[str, Any] | None
    terms: Mapping[str, Any]
    limits: Mapping[str, Any]


async def existing(url: EngineUrl) -> Existing:
    """Return what exists. The limits of the account are those set last, for whichever export."""
    engine = Engine(url, purpose="init")
    try:
        async with engine.connection() as connection:
            export = limits = None
            if await has_schema(connection, ACCOUNT_SCHEMA):
                limits = await one_row(connection, "SELECT rate, in_flight FROM governor")
            if await has_schema(connection, url.schema):
                export = await one_row(connection, "SELECT form, terms FROM export")
            form, terms = export or (None, {})
            return Existing(
                form, terms, dict(zip(("rate", "in_flight"), limits or (), strict=False))
            )
    finally:
        await engine.close()


async def one_row(connection: Connection, query: str, values: Sequence[Any] = ()) -> Row | None:
    """Run a query; return its first row, None without any."""
    return await (await connection.execute(query.encode(), values)).fetchone()


async def has_schema(connection: Connection, schema: str) -> bool:
    """Whether a schema exists."""
    return await one_row(connection, "SELECT to_regnamespace(%s) IS NOT NULL", (schema,)) == (True,)


async def version(connection: Connection) -> int | None:
    """Return how many of the steps in schema.py have been taken, None without tables."""
    if not await has_schema(connection, ACCOUNT_SCHEMA):
        return None
    row = await one_row(connection, "SELECT number FROM cxai.version")
    return None if row is None else int(row[0])


async def refuse_unfit(connection: Connection, url: EngineUrl) -> None:
    """Raise UsageError for a database that can't be written, or that may lose what it confirmed."""
    is_read_only, syncs = await one_row(connection, _FITNESS) or (False, True)
    if is_read_only:
        raise UsageError(
            f"The database {url} can't be written: it is a replica, or read-only. Name the primary."
        )
    if not syncs:
        raise UsageError(
            f"The database {url} runs with fsync = off: a power failure can undo what it has"
            " confirmed, and records would be lost or doubled. Set fsync = on."
        )


def refuse_newer(url: EngineUrl, there: int, here: int) -> None:
    """Raise UsageError for tables of a newer version than this one's."""
    if there > here:
        raise UsageError(
            f"The database {url} has tables of version {there}, made by a newer cxai-worker; this"
            f" version supports up to {here}. Use the newer one on all machines."
        )
