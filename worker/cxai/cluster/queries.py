"""The queries of an export that are no function of books.sql, and the calls with many arguments."""

FORM = "SELECT form FROM export"
"""What decides the rows and their origin."""

TERMS = "SELECT terms FROM export"
"""What `cxai cluster init` may change at any time."""

IDENTITY = "SELECT name, id::text FROM export"
"""The name of the export, and an ID that no other export has, whatever its database."""

LAST_OBJECT = "SELECT last_object FROM export"
"""The highest number in the commit log, 0 if nothing was committed."""

IS_GONE = "SELECT EXISTS (SELECT FROM worker WHERE id = %s AND gone)"
"""Whether a worker, of whichever export, has left or was declared gone."""

WORKERS = """
SELECT id, name, started_at, extract(epoch FROM clock_timestamp() - seen)::float8, gone, state,
    (SELECT count(*) FROM block WHERE owner = worker.id)
FROM worker
WHERE export = (SELECT export.name FROM export)
    AND (NOT gone OR seen > clock_timestamp() - interval '1 day')
ORDER BY started_at, id
"""
"""The workers of the export that are alive, or ended within a day, with their numbers of blocks."""

COMMIT = """
SELECT commit(%s, %s, %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::int[], %s::bigint[],
    %s::bytea[], %s::bytea[], %s::smallint[], %s::smallint[])
"""
"""The commit point: see books.sql."""

ENQUEUE = """
SELECT fresh, duplicates, settled, requeued
FROM enqueue(%s::text[], %s::bytea[], %s::bigint[], %s::jsonb[], %s::smallint[])
"""
"""Adds lines of input: see books.sql."""

FORM_AND_TERMS = "SELECT form, terms FROM export"
"""Both, of an export whose schema exists."""

LIMITS = "SELECT rate, in_flight FROM governor"
"""The account's limits as they were set last."""

VERSION = "SELECT number FROM cxai.version"
"""How many of the steps in schema.py have been taken."""

HAS_SCHEMA = "SELECT to_regnamespace(%s) IS NOT NULL"
"""Whether a schema exists."""

FITNESS = """
SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool,
    current_setting('fsync')::bool
"""
"""Whether the server is read-only, and whether it syncs its commits to disk."""

EXPORT_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^cxai_[a-z]' ORDER BY 1"
"""The schemas of all exports in the database."""

ADD_EXPORT = "INSERT INTO export (name, form, terms) VALUES (%s, %s, %s)"
"""Fills the only row of a new export."""

LOCK_EXPORT = "SELECT form, lines > 0 FROM export FOR UPDATE"
"""The form of an export, and whether it is fixed, since a line has come in; holds off feeders."""

FENCE_WORKERS = "UPDATE worker SET gone = true WHERE export = %s"
"""Fences all workers of an export, which have read a form that is about to change."""

SET_FORM = "UPDATE export SET form = %s"
"""Changes the form of an export without lines."""

SET_TERMS = "UPDATE export SET terms = %s"
"""Changes the terms of an export."""
