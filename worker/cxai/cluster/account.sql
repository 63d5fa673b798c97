-- What all exports of an account share in one database. Every time is the engine's clock.

CREATE TABLE version (
    number int NOT NULL -- how many steps of cluster/schema.py have been taken
);

-- One row for each time that a worker started. Its number is its fencing token: it is what a block
-- is owned by, and is never given again, not even by a database restored to an earlier point,
-- since it comes from the engine's clock.
CREATE TABLE worker (
    id bigint PRIMARY KEY DEFAULT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    export text NOT NULL,
    name text NOT NULL,                 -- for people: host and process
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen timestamptz NOT NULL DEFAULT clock_timestamp(), -- its last beat
    gone boolean NOT NULL DEFAULT false, -- it left, or others took it for dead: for good
    state text NOT NULL DEFAULT ''      -- what it does or waits for, in words
) WITH (fillfactor = 50);
CREATE INDEX worker_live ON worker (export) WHERE NOT gone;
