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
