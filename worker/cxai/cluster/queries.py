"""The queries that are not functions of books.sql, and its calls with many arguments."""

# What decides the rows and their origin.
FORM = "SELECT form FROM export"
# What `cxai cluster init` may change at any time.
TERMS = "SELECT terms FROM export"
# The name of the export, and an ID that no other export has, whatever its database.
IDENTITY = "SELECT name, id::text FROM export"
# The highest number in the commit log, 0 if nothing was committed.
LAST_OBJECT = "SELECT last_object FROM export"
# Whether a worker, of whichever export, has left or was declared gone.
IS_GONE = "SELECT EXISTS (SELECT FROM worker WHERE id = %s AND gone)"

# The workers of the export that are alive, or ended within a day, with their numbers of blocks.
WORKERS = """
SELECT id, name, started_at, extract(epoch FROM clock_timestamp() - seen)::float8, gone, state,
    (SELECT count(*) FROM block WHERE owner = worker.id)
FROM worker
WHERE export = (SELECT export.name FROM export)
    AND (NOT gone OR seen > clock_timestamp() - interval '1 day')
ORDER BY started_at, id
"""

# The commit point: see books.sql.
COMMIT = """
SELECT commit(%s, %s, %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::int[], %s::bigint[],
    %s::bytea[], %s::bytea[], %s::smallint[], %s::smallint[])
"""

# Adds lines of input: see books.sql.
ENQUEUE = """
SELECT fresh, duplicates, settled, requeued
FROM enqueue(%s::text[], %s::bytea[], %s::bigint[], %s::jsonb[], %s::smallint[])
"""

# Both, of an export whose schema exists.
FORM_AND_TERMS = "SELECT form, terms FROM export"
# The account's limits as they were set last.
LIMITS = "SELECT rate, in_flight FROM governor"
# How many of the steps in schema.py have been taken.
VERSION = "SELECT number FROM cxai.version"
# Whether a schema exists.
HAS_SCHEMA = "SELECT to_regnamespace(%s) IS NOT NULL"

# Whether the server is read-only, and whether it syncs its commits to disk.
FITNESS = """
SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool,
    current_setting('fsync')::bool
"""

# The schemas of all exports in the database.
EXPORT_SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^cxai_[a-z]' ORDER BY 1"
# Fills the only row of a new export.
ADD_EXPORT = "INSERT INTO export (name, form, terms) VALUES (%s, %s, %s)"
# The form of an export, and whether it is fixed, since a line has come in; holds off feeders.
LOCK_EXPORT = "SELECT form, lines > 0 FROM export FOR UPDATE"
# Fences all workers of an export, which have read a form that is about to change.
FENCE_WORKERS = "UPDATE worker SET gone = true WHERE export = %s"
# Changes the form of an export without lines.
SET_FORM = "UPDATE export SET form = %s"
# Changes the terms of an export.
SET_TERMS = "UPDATE export SET terms = %s"
