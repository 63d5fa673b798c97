"""Creates and upgrades the tables: the account's schema, and one for each export."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from cxai.cluster.engine import Connection, Engine
from cxai.cluster.existing import has_schema, one_row, refuse_newer, refuse_unfit, version
from cxai.cluster.url import ACCOUNT_SCHEMA, EngineUrl
from cxai.errors import UsageError

_LOCK = 0x63786169  # the advisory lock of `init`: one at a time runs
_UPGRADE_S = 600.0  # seconds that an upgrade may take: it may rewrite tables


_ACCOUNT = sql.Identifier(ACCOUNT_SCHEMA)

# Score ranges are compared by value, whatever the name and layout of their file.
_SAID_BY_DIGEST = frozenset({"bands", "bands_name"})


@dataclass(frozen=True, slots=True)
class Step:
    """Files of SQL that upgrade the tables by one version.

    `account` runs once, `export` for each export. A step that was released never changes.
    """

    account: Sequence[Traversable]
    export: Sequence[Traversable]


_HERE = files(__package__)
_FIRST = tuple(_HERE / name for name in ("account.sql", "books.sql", "limits.sql"))

STEPS: Sequence[Step] = (Step(account=_FIRST, export=(_HERE / "export.sql",)),)
"""All steps, from an empty database on. The version of its tables is the number of steps taken."""


@dataclass(frozen=True, slots=True)
class Initialized:
    """The effect of an `init`: whether the export is new, and from which version it upgraded."""

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

    `form` decides form and origin of the rows; it can be changed until the first line comes in, and
    fences all workers. `terms` may be changed at any time; their `rate` and `in_flight` are the
    limits of the whole account.

    It is one transaction, and only one runs at a time. Raises UsageError if the database can't hold
    an export, has tables of a newer version, or has the export in another form.
    """
    engine = Engine(url, purpose="init", answer_s=_UPGRADE_S)
    try:
        async with engine.connection() as connection, connection.transaction():
            await refuse_unfit(connection, url)
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            before = await version(connection)
            if before is not None:
                refuse_newer(url, before, len(steps))
            await _upgrade(connection, before or 0, steps)
            created = await _write_export(connection, url, form, terms, steps)
            limits = (terms["rate"], terms["in_flight"])
            await connection.execute("SELECT limit_to(%s::float8, %s::int)", limits)
    finally:
        await engine.close()
    was_older = before is not None and before < len(steps)
    return Initialized(created, before if was_older else None)


async def check(engine: Engine) -> None:
    """Raise UsageError unless the database is durable, and has the export in this version."""
    async with engine.connection() as connection:
        await refuse_unfit(connection, engine.url)
        there = await version(connection)
        if there is None or not await has_schema(connection, engine.url.schema):
            raise UsageError(
                f"The database {engine.url} has no export of that name: create it with"
                " `cxai cluster init`."
            )
        refuse_newer(engine.url, there, len(STEPS))
        if there < len(STEPS):
            raise UsageError(
                f"The database {engine.url} has tables of version {there}, but this version of"
                f" cxai-worker needs {len(STEPS)}: upgrade them with `cxai cluster init`."
            )


async def _upgrade(connection: Connection, before: int, steps: Sequence[Step]) -> None:
    """Take the missing steps in the account's schema and in those of all exports."""
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
    # A function may refer to what is created later, or in the schema of an export.
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
    if not await has_schema(connection, url.schema):
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
    # This holds off feeders. The form is fixed as soon as a line has come in.
    query = "SELECT form, lines > 0 FROM export FOR UPDATE"
    there, has_lines = await one_row(connection, query) or ({}, False)
    if differing := _difference(there, form):
        if has_lines:
            what, stored, asked = differing
            raise UsageError(
                f"The database {url} has this export with {what} {stored!r}, not {asked!r}. Use the"
                " same, or create another export."
            )
        # The workers have read the form that is about to change.
        await connection.execute("UPDATE worker SET gone = true WHERE export = %s", (url.export,))
        await connection.execute("UPDATE export SET form = %s", (Jsonb(dict(form)),))
    await connection.execute("UPDATE export SET terms = %s", (Jsonb(dict(terms)),))
    return False


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """Return the name and both values of the first difference, for people."""
    for name in sorted(there.keys() | here.keys()):
        if name in _SAID_BY_DIGEST or there.get(name) == here.get(name):
            continue
        if name == "bands_digest":
            return "score ranges", there.get("bands_name"), here.get("bands_name")
        return name.replace("_", " "), there.get(name), here.get(name)
    return None
