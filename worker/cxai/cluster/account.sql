-- What all exports of an account share in one database. All times are on the database's clock.

CREATE TABLE version (
    number int NOT NULL -- of the steps in cluster/schema.py that were taken
);

-- One row for each start of a worker. Its number is its fencing token: it owns blocks, and is never
-- assigned again, not even by a database restored to an earlier point, since it comes from the
-- clock.
CREATE TABLE worker (
    id bigint PRIMARY KEY DEFAULT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    export text NOT NULL,
    name text NOT NULL,                 -- for people: host and process
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen timestamptz NOT NULL DEFAULT clock_timestamp(), -- its last heartbeat
    gone boolean NOT NULL DEFAULT false, -- it left, or was declared gone: for good
    state text NOT NULL DEFAULT ''      -- what it does or waits for, in words
) WITH (fillfactor = 50);
CREATE INDEX worker_live ON worker (export) WHERE NOT gone;
