-- name: schema
-- One ledger describes one output directory: everything that is committed.
CREATE TABLE export (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    format INTEGER NOT NULL,         -- of this ledger
    schema_version INTEGER NOT NULL, -- of the records
    shape TEXT NOT NULL,
    compression TEXT NOT NULL,
    origin TEXT NOT NULL,            -- the API that the results come from
    resource TEXT NOT NULL,
    bands TEXT NOT NULL,             -- digest of the score ranges; empty without any
    bands_name TEXT NOT NULL,        -- their name for people
    created_at TEXT NOT NULL
) STRICT;

-- key: 16 bytes for a GUID, text for another ID, 17 bytes for a line without a valid ID.
-- part: for an ID with a record, the number of the parts of all record sets with its rows, since
-- these are sealed together; else the number of the part of the failures.
CREATE TABLE outcome (
    key ANY PRIMARY KEY,
    verdict TEXT NOT NULL,
    requests INTEGER NOT NULL,
    run INTEGER NOT NULL,
    part INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A record is never written twice, whatever a bug elsewhere tries.
CREATE TRIGGER once BEFORE UPDATE ON outcome WHEN old.verdict = 'ok'
BEGIN
    SELECT RAISE(ABORT, 'an ID with a record got another verdict');
END;

CREATE TABLE part (
    set_name TEXT NOT NULL,
    number INTEGER NOT NULL,
    bytes INTEGER NOT NULL,   -- committed
    records INTEGER NOT NULL, -- committed
    sha256 TEXT NOT NULL,     -- of the committed bytes
    sealed INTEGER NOT NULL,
    released_at TEXT,         -- when `cxai prune` released its file; NULL before
    PRIMARY KEY (set_name, number)
) STRICT, WITHOUT ROWID;

-- Nor is it deleted, unless the part with its record was withdrawn before.
CREATE TRIGGER kept BEFORE DELETE ON outcome WHEN old.verdict = 'ok' AND EXISTS (
    SELECT 1 FROM part WHERE number = old.part AND set_name <> 'failures'
)
BEGIN
    SELECT RAISE(ABORT, 'an ID with a record was to be forgotten');
END;

-- IDs whose rows were in a withdrawn part: each needs a new verdict.
CREATE TABLE reopened (
    key ANY PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- What each commit appended to a part, to locate damage.
CREATE TABLE extent (
    set_name TEXT NOT NULL,
    number INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    crc32 INTEGER NOT NULL,
    PRIMARY KEY (set_name, number, offset)
) STRICT, WITHOUT ROWID;

-- The first run that finished with a part in the export. From then on the part never changes.
CREATE TABLE added (
    set_name TEXT NOT NULL,
    number INTEGER NOT NULL,
    run INTEGER NOT NULL,
    PRIMARY KEY (set_name, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,           -- as in the rows that it wrote
    started_at TEXT NOT NULL,
    seen_at TEXT NOT NULL,          -- of its last commit
    settled INTEGER NOT NULL,
    ended TEXT,                     -- how; NULL while it runs, or if it did not shut down cleanly
    tally TEXT                      -- its reconciliation, as JSON
) STRICT;

-- name: later_tables
-- Tables of later versions. The next run creates them in a ledger that lacks them; older versions
-- ignore them.

-- Acknowledged messages of a queue, in order of arrival, until they have a final verdict.
CREATE TABLE IF NOT EXISTS inbox (
    position INTEGER PRIMARY KEY,
    key ANY NOT NULL UNIQUE,
    id TEXT,                  -- as in the request; NULL if it follows from the key
    source BLOB NOT NULL,     -- UTF-8 with surrogates, since a file name may not be Unicode
    line INTEGER NOT NULL,
    fault TEXT,               -- why it has no valid ID, with details; NULL if it has
    detail TEXT
) STRICT;

-- Consumer groups that have read entries. If such a group is missing, the queue has lost data.
CREATE TABLE IF NOT EXISTS reader (
    name TEXT PRIMARY KEY     -- of queue and group
) STRICT, WITHOUT ROWID;

-- When an open part got its first row.
CREATE TABLE IF NOT EXISTS begun (
    set_name TEXT NOT NULL,
    number INTEGER NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (set_name, number)
) STRICT, WITHOUT ROWID;

-- name: read_any_table
-- Whether the tables have been made.
SELECT 1 FROM sqlite_schema LIMIT 1;

-- name: write_export
-- The form of this export, once.
INSERT INTO export VALUES (
    1, :format, :schema_version, :shape, :compression, :origin, :resource, :bands, :bands_name,
    :created_at
);

-- name: change_origin
-- Only while no ID has a verdict, so that no rows of two origins mix.
UPDATE export SET origin = :origin, bands = :bands, bands_name = :bands_name;

-- name: read_format
-- What decides whether this version can read the rest.
SELECT format, schema_version FROM export;

-- name: read_form
-- The form of this export.
SELECT resource, shape, compression, origin, bands, bands_name FROM export;

-- name: write_part
-- What is committed of a part; creates the part if it is new.
INSERT INTO part VALUES (:set, :number, :bytes, :records, :sha256, :sealed, NULL)
ON CONFLICT DO UPDATE SET bytes = excluded.bytes, records = excluded.records,
    sha256 = excluded.sha256, sealed = excluded.sealed;

-- name: read_parts
-- All parts, with the run that finished each.
SELECT part.set_name, part.number, bytes, records, sha256, sealed, released_at, run_id
FROM part LEFT JOIN added USING (set_name, number) LEFT JOIN run ON run.number = added.run
ORDER BY part.set_name, part.number;

-- name: finish_parts
-- The run becomes the one that finished all sealed parts that have none yet.
INSERT INTO added
SELECT set_name, number, :run FROM part WHERE sealed
ON CONFLICT DO NOTHING;

-- name: write_begun
-- The time of the first commit to a part.
INSERT OR REPLACE INTO begun VALUES (:set, :number, :at);

-- name: read_begun
-- The times of the first commits to the open parts.
SELECT part.set_name, at FROM part JOIN begun USING (set_name, number) WHERE NOT sealed;

-- name: release_part
-- The file of a sealed part may be deleted. Its IDs keep their verdicts.
UPDATE part SET released_at = :at
WHERE set_name = :set AND number = :number AND sealed AND released_at IS NULL;

-- name: withdraw_part
-- Deletes a part whose rows are lost, or whose group of parts is withdrawn.
DELETE FROM part WHERE set_name = :set AND number = :number;

-- name: withdraw_extents
-- Deletes what was appended to a withdrawn part.
DELETE FROM extent WHERE set_name = :set AND number = :number;

-- name: note_records
-- Keeps the IDs with a record in a withdrawn part, before their verdicts are deleted.
INSERT OR IGNORE INTO reopened SELECT key FROM outcome WHERE verdict = 'ok' AND part = :number;

-- name: note_failures
-- The same for the failures; a line without a valid ID can't be fetched.
INSERT OR IGNORE INTO reopened SELECT key FROM outcome
WHERE verdict NOT IN ('ok', 'invalid_id') AND part = :number;

-- name: forget_records
-- Deletes the verdicts of records in a withdrawn part: their IDs are new to the next run.
DELETE FROM outcome WHERE verdict = 'ok' AND part = :number;

-- name: forget_failures
-- The same for a withdrawn part of the failures.
DELETE FROM outcome WHERE verdict <> 'ok' AND part = :number;

-- name: count_unfetched
-- How many IDs of withdrawn parts have no new verdict.
SELECT count(*) FROM reopened
WHERE NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.key = reopened.key);

-- name: read_unfetched
-- Some of them.
SELECT key FROM reopened
WHERE NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.key = reopened.key) LIMIT :most;

-- name: write_extent
-- What one commit appended to a part.
INSERT INTO extent VALUES (:set, :number, :offset, :crc32);

-- name: read_extents
-- What each commit appended to a part, in order.
SELECT offset, crc32 FROM extent WHERE set_name = :set AND number = :number ORDER BY offset;

-- name: write_outcome
-- The verdict of an entry. A later one replaces it, unless it has a record (trigger `once`).
INSERT INTO outcome VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET verdict = excluded.verdict, requests = excluded.requests,
    run = excluded.run, part = excluded.part;

-- name: read_outcome
-- The verdict of an entry, the part with its rows, and its run.
SELECT verdict, part, run FROM outcome WHERE key = ?;

-- name: read_outcomes
-- The same for up to 64 entries. SQLite searches the keys of IN in their order.
SELECT key, verdict, part, run FROM outcome WHERE key IN (
    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
);

-- name: find_inbox
-- Whether a ledger has the table of the inbox.
SELECT 1 FROM sqlite_schema WHERE name = 'inbox';

-- name: read_any_entry
-- Whether anything is in the inbox.
SELECT 1 FROM inbox LIMIT 1;

-- name: count_entries
-- The number of entries in the inbox, and of those without a verdict.
SELECT count(*), count(*) - count(outcome.key)
FROM inbox LEFT JOIN outcome ON outcome.key = inbox.key;

-- name: find_entry
-- Whether an entry is in the inbox.
SELECT 1 FROM inbox WHERE key = ?;

-- name: write_entry
-- Appends an entry, before its message is acknowledged.
INSERT INTO inbox (key, id, source, line, fault, detail) VALUES (?, ?, ?, ?, ?, ?);

-- name: read_entries
-- The entries after a position, in order of arrival.
SELECT position, key, id, source, line, fault, detail FROM inbox
WHERE position > :after ORDER BY position LIMIT :most;

-- name: delete_entry
-- Deletes an entry with a final verdict.
DELETE FROM inbox WHERE key = ?;

-- name: delete_recorded
-- Deletes entries with a record, which a version without an inbox found in another input.
DELETE FROM inbox WHERE EXISTS (
    SELECT 1 FROM outcome WHERE outcome.key = inbox.key AND verdict = 'ok'
);

-- name: find_group
-- Whether the inbox ever got an entry that a group had read.
SELECT 1 FROM reader WHERE name = ?;

-- name: write_group
-- The inbox gets an entry that this group has read.
INSERT OR IGNORE INTO reader VALUES (:group);

-- name: write_unfetched
-- Appends IDs of withdrawn parts, which no queue delivers again. They have no line: they count up.
INSERT OR IGNORE INTO inbox (key, source, line)
SELECT key, :source, row_number() OVER () FROM reopened
WHERE NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.key = reopened.key);

-- name: read_any_outcome
-- Whether anything has a verdict.
SELECT 1 FROM outcome LIMIT 1;

-- name: read_any_answer
-- Whether any ID has a verdict.
SELECT 1 FROM outcome WHERE verdict <> 'invalid_id' LIMIT 1;

-- name: count_by_run
-- Verdicts by run.
SELECT run, count(*) FROM outcome GROUP BY run;

-- name: count_verdicts
-- Entries by verdict.
SELECT verdict, count(*) FROM outcome GROUP BY verdict ORDER BY verdict;

-- name: count_verdicts_in_place
-- The same, only for entries whose rows are in parts that have not been released.
SELECT verdict, count(*) FROM outcome WHERE NOT EXISTS (
    SELECT 1 FROM part WHERE number = outcome.part AND released_at IS NOT NULL
    AND set_name = CASE verdict WHEN 'ok' THEN :main_set ELSE 'failures' END
) GROUP BY verdict ORDER BY verdict;

-- name: start_run
-- A run that starts.
INSERT INTO run (run_id, started_at, seen_at, settled) VALUES (:run_id, :at, :at, 0);

-- name: note_progress
-- A commit of a run.
UPDATE run SET seen_at = :at, settled = settled + :settled WHERE number = :run;

-- name: read_settled
-- The number of outcomes that a run has committed.
SELECT settled FROM run WHERE number = :run;

-- name: end_run
-- How a run ended.
UPDATE run SET seen_at = :at, ended = :ended, tally = :tally WHERE number = :run;

-- name: read_runs
-- All runs, in order.
SELECT number, run_id, started_at, seen_at, settled, ended, tally FROM run ORDER BY number;

-- name: check_integrity
-- SQLite's own check of its pages, indexes and constraints.
PRAGMA integrity_check(10);
