-- name: schema
-- One ledger describes one output directory. Everything that is committed is in here.
CREATE TABLE export (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    format INTEGER NOT NULL,         -- of this ledger
    schema_version INTEGER NOT NULL, -- of the records
    shape TEXT NOT NULL,
    compression TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

-- key: 16 bytes for a GUID, text for another ID, 17 bytes for a line that holds no allowed ID.
CREATE TABLE outcome (
    key ANY PRIMARY KEY,
    verdict TEXT NOT NULL,
    requests INTEGER NOT NULL,
    run INTEGER NOT NULL
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
    PRIMARY KEY (set_name, number)
) STRICT, WITHOUT ROWID;

-- What each commit appended to a part, so that damage can be told by place.
CREATE TABLE extent (
    set_name TEXT NOT NULL,
    number INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    crc32 INTEGER NOT NULL,
    PRIMARY KEY (set_name, number, offset)
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    started_at TEXT NOT NULL,
    seen_at TEXT NOT NULL,          -- of its last commit
    settled INTEGER NOT NULL,
    ended TEXT,                     -- how; NULL while it runs, was killed, or its disk failed
    tally TEXT                      -- its reconciliation, as JSON
) STRICT;

-- name: write_export
INSERT INTO export VALUES (1, :format, :schema_version, :shape, :compression, :created_at);

-- name: read_export
SELECT format, schema_version, shape, compression FROM export;

-- name: write_part
INSERT INTO part VALUES (:set, :number, :bytes, :records, :sha256, :sealed)
ON CONFLICT DO UPDATE SET bytes = excluded.bytes, records = excluded.records,
    sha256 = excluded.sha256, sealed = excluded.sealed;

-- name: read_parts
SELECT set_name, number, bytes, records, sha256, sealed FROM part ORDER BY set_name, number;

-- name: write_extent
INSERT INTO extent VALUES (:set, :number, :offset, :crc32);

-- name: read_extents
SELECT offset, crc32 FROM extent WHERE set_name = :set AND number = :number ORDER BY offset;

-- name: write_outcome
INSERT INTO outcome VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET verdict = excluded.verdict, requests = excluded.requests,
    run = excluded.run;

-- name: read_verdict
SELECT verdict FROM outcome WHERE key = ?;

-- name: read_any_outcome
SELECT 1 FROM outcome LIMIT 1;

-- name: count_parts
SELECT set_name, count(*), sum(records), sum(bytes) FROM part WHERE bytes > 0
GROUP BY set_name ORDER BY set_name;

-- name: check_integrity
PRAGMA integrity_check(10);

-- name: count_verdicts
SELECT verdict, count(*) FROM outcome GROUP BY verdict ORDER BY verdict;

-- name: start_run
INSERT INTO run (started_at, seen_at, settled) VALUES (:at, :at, 0);

-- name: note_progress
UPDATE run SET seen_at = :at, settled = settled + :settled WHERE number = :run;

-- name: read_settled
SELECT settled FROM run WHERE number = :run;

-- name: end_run
UPDATE run SET seen_at = :at, ended = :ended, tally = :tally WHERE number = :run;

-- name: read_runs
SELECT number, started_at, seen_at, settled, ended, tally FROM run ORDER BY number;
