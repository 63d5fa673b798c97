"""Creates and upgrades what the engine holds: the account's schema, and one for each export."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from cxai.cluster.engine import Connection, Engine
from cxai.cluster.url import ACCOUNT_SCHEMA, EngineUrl
from cxai.errors import UsageError

_LOCK = 0x63786169
"""Of the advisory lock that one `init` at a time holds."""

_PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True)
class Step:
    """What makes one version of the tables out of the version before: files of SQL.

    `account` is run once, `export` for each export. A step that was released never changes.
    """

    account: Sequence[Traversable]
    export: Sequence[Traversable]


_HERE = files(__package__)

STEPS: Sequence[Step] = (
    Step(
        account=(_HERE / "account.sql", _HERE / "books.sql", _HERE / "limits.sql"),
        export=(_HERE / "export.sql",),
    ),
)
"""All steps from an empty database on: how many were taken is the version of its tables."""


@dataclass(frozen=True, slots=True)
class Initialized:
    """What an `init` did: whether it created the export, and from which version it upgraded."""

    created: bool
    upgraded_from: int | None


async def init(
    url: EngineUrl,
    form: Mapping[str, Any],
    terms: Mapping[str, Any],
    *,
    steps: Sequence[Step] = STEPS,
) -> Initialized:
    """Create the export, or change its terms; upgrade the tables if they are of an older version.

    `form` is what decides form and origin of the rows; it can be changed until the first line is
    taken in, and its workers are fenced off then. `terms` may be changed at any time; `rate` and
    `in_flight` of them are the limits of the whole account.

    All of it happens or nothing, and of several at once one after the other. Raises UsageError if
    the database can't hold an export, is of a newer version, or has the export in another form.
    """
    engine = Engine(url, purpose="init", answer_s=_PATIENCE_S)  # an upgrade may rewrite tables
    try:
        async with engine.connection() as connection, connection.transaction():
            await _refuse_unfit(connection, url)
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            before = await _version(connection)
            if before is not None:
                _refuse_newer(url, before, len(steps))
            await _upgrade(connection, before or 0, steps)
            created = await _write_export(connection, url, form, terms, steps)
            limits = (terms["rate"], terms["in_flight"])
            await connection.execute("SELECT limit_to(%s::float8, %s::int)", limits)
    finally:
        await engine.close()
    was_older = before is not None and before < len(steps)
    return Initialized(created, before if was_older else None)


@dataclass(frozen=True, slots=True)
class Found:
    """What a database has already: form and terms of an export, and the limits of its account.

    `form` is None if there is no export of that name; `limits` are empty if there is no account.
    """

    form: Mapping[str, Any] | None
    terms: Mapping[str, Any]
    limits: Mapping[str, Any]


async def found(url: EngineUrl) -> Found:
    """Return what is there. The limits are as they were set last, for whichever export."""
    engine = Engine(url, purpose="init")
    try:
        async with engine.connection() as connection:
            limits: dict[str, Any] = {}
            if await _exists(connection, ACCOUNT_SCHEMA):
                row = await (
                    await connection.execute("SELECT rate, in_flight FROM governor")
                ).fetchone()
                limits = dict(zip(("rate", "in_flight"), row, strict=True)) if row else {}
            if not await _exists(connection, url.schema):
                return Found(None, {}, limits)
            row = await (await connection.execute("SELECT form, terms FROM export")).fetchone()
            return Found(dict(row[0]), dict(row[1]), limits) if row else Found(None, {}, limits)
    finally:
        await engine.close()


async def check(engine: Engine) -> None:
    """Raise UsageError unless the database can be worked with: version, durability, the export."""
    async with engine.connection() as connection:
        await _refuse_unfit(connection, engine.url)
        version = await _version(connection)
        if version is None or not await _exists(connection, engine.url.schema):
            raise UsageError(
                f"The database {engine.url} has no export of that name: create it with"
                " `cxai cluster init`."
            )
        _refuse_newer(engine.url, version, len(STEPS))
        if version < len(STEPS):
            raise UsageError(
                f"The database {engine.url} has tables of version {version}, where this version of"
                f" cxai-worker needs {len(STEPS)}: upgrade them with `cxai cluster init`."
            )


async def _refuse_unfit(connection: Connection, url: EngineUrl) -> None:
    found = await connection.execute(
        "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool,"
        " current_setting('fsync')::bool"
    )
    (is_read_only, syncs) = await found.fetchone() or (False, True)
    if is_read_only:
        raise UsageError(
            f"The database {url} can't be written: it is a replica, or set to read only. Name the"
            " primary."
        )
    if not syncs:
        raise UsageError(
            f"The database {url} runs with fsync = off: what it has confirmed can be lost with the"
            " power of its machine, and records would be lost or doubled. Set fsync = on."
        )


def _refuse_newer(url: EngineUrl, there: int, here: int) -> None:
    if there > here:
        raise UsageError(
            f"The database {url} has tables of version {there}, made by a newer cxai-worker; this"
            f" version knows {here}. Use that one, on all machines."
        )


async def _version(connection: Connection) -> int | None:
    """Return the version of the tables, None if there are none."""
    if not await _exists(connection, ACCOUNT_SCHEMA):
        return None
    found = await connection.execute(sql.SQL("SELECT number FROM {}.version").format(_ACCOUNT))
    row = await found.fetchone()
    return None if row is None else int(row[0])


async def _exists(connection: Connection, schema: str) -> bool:
    found = await connection.execute("SELECT to_regnamespace(%s) IS NOT NULL", (schema,))
    row = await found.fetchone()
    return row is not None and bool(row[0])


async def _upgrade(connection: Connection, before: int, steps: Sequence[Step]) -> None:
    """Take the steps that are missing, in the account's schema and in those of all exports."""
    if before == len(steps):
        return
    if before == 0:
        await connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(_ACCOUNT))
    found = await connection.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname ~ '^cxai_[a-z]' ORDER BY 1"
    )
    exports = [name for (name,) in await found.fetchall()]
    for step in steps[before:]:
        await _run(connection, step.account, (ACCOUNT_SCHEMA,))
        for export in exports:
            await _run(connection, step.export, (export, ACCOUNT_SCHEMA))
    number = sql.SQL("DELETE FROM {0}.version; INSERT INTO {0}.version VALUES ({1})")
    await connection.execute(number.format(_ACCOUNT, sql.Literal(len(steps))))


async def _run(connection: Connection, scripts: Sequence[Traversable], path: Sequence[str]) -> None:
    schemas = sql.SQL(", ").join(map(sql.Identifier, path))
    await connection.execute(sql.SQL("SET LOCAL search_path = {}").format(schemas))
    # A function may name what is created after it, or in the schema of an export.
    await connection.execute("SET LOCAL check_function_bodies = off")
    for script in scripts:
        await connection.execute(script.read_bytes())


async def _write_export(
    connection: Connection,
    url: EngineUrl,
    form: Mapping[str, Any],
    terms: Mapping[str, Any],
    steps: Sequence[Step],
) -> bool:
    """Create the export or change it; return whether it is new."""
    created = not await _exists(connection, url.schema)
    if created:
        schema = sql.Identifier(url.schema)
        await connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        for step in steps:
            await _run(connection, step.export, url.search_path)
        await connection.execute(
            "INSERT INTO export (name, form, terms) VALUES (%s, %s, %s)",
            (url.export, Jsonb(dict(form)), Jsonb(dict(terms))),
        )
        return True
    await _run(connection, (), url.search_path)
    found = await connection.execute("SELECT form, lines > 0 FROM export FOR UPDATE")
    there, has_lines = await found.fetchone() or ({}, False)
    if differing := _difference(there, form):
        if has_lines:
            what, stored, asked = differing
            raise UsageError(
                f"The database {url} has this export with {what} {stored!r}, not {asked!r}. Ask for"
                " what it has, or name a new export."
            )
        # They have read the old form, and nothing else of the export.
        await connection.execute("UPDATE worker SET gone = true WHERE export = %s", (url.export,))
        await connection.execute("UPDATE export SET form = %s", (Jsonb(dict(form)),))
    await connection.execute("UPDATE export SET terms = %s", (Jsonb(dict(terms)),))
    return False


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """Return the name and both values of the first thing that differs, for people."""
    for name in sorted(there.keys() | here.keys()):
        if name in _SAID_BY_DIGEST or there.get(name) == here.get(name):
            continue
        if name == "bands_digest":
            return "score ranges", there.get("bands_name"), here.get("bands_name")
        return name.replace("_", " "), there.get(name), here.get(name)
    return None


_SAID_BY_DIGEST = frozenset({"bands", "bands_name"})
"""Ranges that say the same are equal, whatever their file is called and however it is laid out."""

_ACCOUNT = sql.Identifier(ACCOUNT_SCHEMA)
