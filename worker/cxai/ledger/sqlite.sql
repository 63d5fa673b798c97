-- name: schema
-- One ledger describes one output directory. Everything that is committed is in here.
CREATE TABLE export (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    format INTEGER NOT NULL,         -- of this ledger
    schema_version INTEGER NOT NULL, -- of the records
    shape TEXT NOT NULL,
    compression TEXT NOT NULL,
    origin TEXT NOT NULL,            -- where the results come from
    resource TEXT NOT NULL,
    bands TEXT NOT NULL,             -- digest of the score ranges; empty without any
    bands_name TEXT NOT NULL,        -- what people call them
    created_at TEXT NOT NULL
) STRICT;

-- key: 16 bytes for a GUID, text for another ID, 17 bytes for a line that holds no allowed ID.
-- part: the sets of records are sealed together, so one number names the part of each of them
-- that holds the rows of an ID with a record; else it is that of the part of the failures.
CREATE TABLE outcome (
    key ANY PRIMARY KEY,
    verdict TEXT NOT NULL,
    requests INTEGER NOT NULL,
    run INTEGER NOT NULL,
    part INTEGER NOT NULL            -- number of the part, in its sets, that holds its rows
) STRICT, WITHOUT ROWID;

-- Whatever a bug elsewhere tries: a record that is written is never written again.
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
    released_at TEXT,         -- when its file was given up, by `cxai prune`; NULL before
    PRIMARY KEY (set_name, number)
) STRICT, WITHOUT ROWID;

-- Nor is it forgotten, unless the part with its record was withdrawn before.
CREATE TRIGGER kept BEFORE DELETE ON outcome WHEN old.verdict = 'ok' AND EXISTS (
    SELECT 1 FROM part WHERE number = old.part AND set_name <> 'failures'
)
BEGIN
    SELECT RAISE(ABORT, 'an ID with a record was to be forgotten');
END;

-- IDs whose rows were in a part that was withdrawn: each has to get a verdict again.
CREATE TABLE reopened (
    key ANY PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- What each commit appended to a part, so that damage can be told by place.
CREATE TABLE extent (
    set_name TEXT NOT NULL,
    number INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    crc32 INTEGER NOT NULL,
    PRIMARY KEY (set_name, number, offset)
) STRICT, WITHOUT ROWID;

-- Which run finished an export with a part in it first. From then on the part never changes.
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
    ended TEXT,                     -- how; NULL while it runs, was killed, or its disk failed
    tally TEXT                      -- its reconciliation, as JSON
) STRICT;

-- name: later_tables
-- These came after the others. A ledger without them gets them with its next run; versions that
-- don't know them leave them alone.

-- What a queue has let go of, in order of arrival, until it has a final verdict.
CREATE TABLE IF NOT EXISTS inbox (
    position INTEGER PRIMARY KEY,
    key ANY NOT NULL UNIQUE,
    id TEXT,                  -- as it is requested; NULL if the key says it all
    source BLOB NOT NULL,     -- UTF-8; a name that is no Unicode keeps its surrogates
    line INTEGER NOT NULL,
    fault TEXT,               -- why it holds no allowed ID, and the details; NULL if it does
    detail TEXT
) STRICT;

-- By which groups of consumers queues were read. Such a group is only gone if data are.
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
-- What decides the rows of this export; once.
INSERT INTO export VALUES (
    1, :format, :schema_version, :shape, :compression, :origin, :resource, :bands, :bands_name,
    :created_at
);

-- name: move_export
-- Nothing has come from another API yet, so nothing is mixed.
UPDATE export SET origin = :origin, bands = :bands, bands_name = :bands_name;

-- name: read_format
-- Whether this version can read the rest.
SELECT format, schema_version FROM export;

-- name: read_form
-- What decides the rows, as it was when the export began.
SELECT resource, shape, compression, origin, bands, bands_name FROM export;

-- name: write_part
-- What is committed of a part, new or known.
INSERT INTO part VALUES (:set, :number, :bytes, :records, :sha256, :sealed, NULL)
ON CONFLICT DO UPDATE SET bytes = excluded.bytes, records = excluded.records,
    sha256 = excluded.sha256, sealed = excluded.sealed;

-- name: read_parts
-- All parts, with the run that finished each.
SELECT part.set_name, part.number, bytes, records, sha256, sealed, released_at, run_id
FROM part LEFT JOIN added USING (set_name, number) LEFT JOIN run ON run.number = added.run
ORDER BY part.set_name, part.number;

-- name: finish_parts
-- The run that came to an orderly end with a part in the export first.
INSERT INTO added
SELECT set_name, number, :run FROM part WHERE sealed
ON CONFLICT DO NOTHING;

-- name: write_begun
-- The first commit to a part.
INSERT OR REPLACE INTO begun VALUES (:set, :number, :at);

-- name: read_begun
-- When the open parts got their first rows.
SELECT part.set_name, at FROM part JOIN begun USING (set_name, number) WHERE NOT sealed;

-- name: release_part
-- The file of a finished part may go; its IDs keep their verdicts and are never asked again.
UPDATE part SET released_at = :at
WHERE set_name = :set AND number = :number AND sealed AND released_at IS NULL;

-- name: withdraw_part
-- The rows of a part are lost, or are no longer to be used.
DELETE FROM part WHERE set_name = :set AND number = :number;

-- name: withdraw_extents
-- What was appended to a part that is withdrawn.
DELETE FROM extent WHERE set_name = :set AND number = :number;

-- name: note_records
-- The IDs with a record in a withdrawn part, before they are forgotten.
INSERT OR IGNORE INTO reopened SELECT key FROM outcome WHERE verdict = 'ok' AND part = :number;

-- name: note_failures
-- The same of the failures; a line that is no ID can't be asked again.
INSERT OR IGNORE INTO reopened SELECT key FROM outcome
WHERE verdict NOT IN ('ok', 'invalid_id') AND part = :number;

-- name: forget_records
-- Records of a part that was withdrawn: their IDs are new to the next run.
DELETE FROM outcome WHERE verdict = 'ok' AND part = :number;

-- name: forget_failures
-- The same for a withdrawn part of the failures.
DELETE FROM outcome WHERE verdict <> 'ok' AND part = :number;

-- name: count_unfetched
-- IDs of withdrawn parts that have no verdict again.
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
-- The verdict of an entry; a later one takes its place, unless it has a record (trigger `once`).
INSERT INTO outcome VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET verdict = excluded.verdict, requests = excluded.requests,
    run = excluded.run, part = excluded.part;

-- name: read_outcome
-- The verdict of an entry, and where its rows are.
SELECT verdict, part, run FROM outcome WHERE key = ?;

-- name: read_outcomes
-- The same of 64 entries at most. SQLite takes the keys of IN in their order.
SELECT key, verdict, part, run FROM outcome WHERE key IN (
    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
);

-- name: find_inbox
-- Whether a ledger has an inbox already.
SELECT 1 FROM sqlite_schema WHERE name = 'inbox';

-- name: read_any_entry
-- Whether anything is in the inbox.
SELECT 1 FROM inbox LIMIT 1;

-- name: count_entries
-- How much is in the inbox, and how much of that has no verdict.
SELECT count(*), count(*) - count(outcome.key)
FROM inbox LEFT JOIN outcome ON outcome.key = inbox.key;

-- name: find_entry
-- Whether an entry is in the inbox.
SELECT 1 FROM inbox WHERE key = ?;

-- name: write_entry
-- An entry that a queue is to let go of; after all others.
INSERT INTO inbox (key, id, source, line, fault, detail) VALUES (?, ?, ?, ?, ?, ?);

-- name: read_entries
-- The entries behind a position, those that came first before others.
SELECT position, key, id, source, line, fault, detail FROM inbox
WHERE position > :after ORDER BY position LIMIT :most;

-- name: delete_entry
-- It has a final verdict.
DELETE FROM inbox WHERE key = ?;

-- name: delete_recorded
-- Entries that have a record: a version without an inbox has found their IDs in its own input.
DELETE FROM inbox WHERE EXISTS (
    SELECT 1 FROM outcome WHERE outcome.key = inbox.key AND verdict = 'ok'
);

-- name: find_group
-- Whether anything was taken in that it has read.
SELECT 1 FROM reader WHERE name = ?;

-- name: write_group
-- Something is to be taken in that it has read.
INSERT OR IGNORE INTO reader VALUES (:group);

-- name: write_unfetched
-- IDs of withdrawn parts: no queue sends them again. They stand in no line of it.
INSERT OR IGNORE INTO inbox (key, source, line)
SELECT key, :source, row_number() OVER () FROM reopened
WHERE NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.key = reopened.key);

-- name: read_any_outcome
-- Whether anything has a verdict.
SELECT 1 FROM outcome LIMIT 1;

-- name: read_any_answer
-- Whether anything came from the API.
SELECT 1 FROM outcome WHERE verdict <> 'invalid_id' LIMIT 1;

-- name: count_by_run
-- How many verdicts are of which run.
SELECT run, count(*) FROM outcome GROUP BY run;

-- name: count_verdicts
-- How many entries have which verdict.
SELECT verdict, count(*) FROM outcome GROUP BY verdict ORDER BY verdict;

-- name: count_verdicts_in_place
-- Only of entries whose rows are in parts that have not been released.
SELECT verdict, count(*) FROM outcome WHERE NOT EXISTS (
    SELECT 1 FROM part WHERE number = outcome.part AND released_at IS NOT NULL
    AND set_name = CASE verdict WHEN 'ok' THEN :main_set ELSE 'failures' END
) GROUP BY verdict ORDER BY verdict;

-- name: start_run
-- A run, of which nothing is settled yet.
INSERT INTO run (run_id, started_at, seen_at, settled) VALUES (:run_id, :at, :at, 0);

-- name: note_progress
-- One more commit of a run.
UPDATE run SET seen_at = :at, settled = settled + :settled WHERE number = :run;

-- name: read_settled
-- How many outcomes a run has committed.
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
