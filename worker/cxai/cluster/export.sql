-- The tables of one export, in a schema of its own. The functions in books.sql find them by the
-- search path of the connection. Codes of verdicts: cluster/codes.py.

CREATE TABLE export (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    name text NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(), -- its place for objects says the same
    form jsonb NOT NULL,              -- what decides form and origin of rows; fixed by the first line
    terms jsonb NOT NULL,             -- what `cxai cluster init` may change at any time
    last_object int NOT NULL DEFAULT 0,
    lines bigint NOT NULL DEFAULT 0,      -- of input; lines = items + duplicates
    duplicates bigint NOT NULL DEFAULT 0,
    fed boolean NOT NULL DEFAULT false,   -- no more lines are to come
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 10);

-- Every distinct ID, for ever. Room for updates in place, so that its index does not grow twice.
CREATE TABLE item (
    key bytea PRIMARY KEY,
    object int,           -- that has its lines; kept when the ID is queued again
    verdict smallint,     -- NULL while it is open: then it is in exactly one block
    requests smallint,
    payload jsonb         -- what the key does not say; for an ID that failed, its place in the input
) WITH (fillfactor = 85);

-- How many items have which verdict, so that a look at an export of any size costs nothing.
CREATE TABLE tally (
    verdict smallint PRIMARY KEY,
    ids bigint NOT NULL
) WITH (fillfactor = 10);

-- The queue: up to 50 open IDs a row. A row is gone when all its IDs have a verdict.
CREATE TABLE block (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner bigint,                  -- the worker that has it; NULL while it is free
    losses int NOT NULL DEFAULT 0, -- workers that were taken for dead while they had it
    source text NOT NULL,          -- where its IDs came from
    plain boolean NOT NULL,        -- whether the keys say all of its items
    keys bytea[] NOT NULL,
    lines bigint[] NOT NULL
);
CREATE INDEX block_free ON block (id) WHERE owner IS NULL;
CREATE INDEX block_owned ON block (owner, id) WHERE owner IS NOT NULL;

-- The log of commits: an object counts if and only if it has a row. Numbers have no gaps.
CREATE TABLE object (
    no int NOT NULL,
    set text NOT NULL,
    pending text NOT NULL UNIQUE,  -- its name until it is published
    records int NOT NULL,
    bytes bigint NOT NULL,
    sha256 bytea NOT NULL,
    worker bigint NOT NULL,
    published boolean NOT NULL DEFAULT false,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (no, set)
) WITH (fillfactor = 90);
CREATE INDEX object_unpublished ON object (no) WHERE NOT published;

-- Whatever a bug elsewhere tries: a record is never replaced (verdict 1 is ok), and another
-- verdict only after the ID was queued again.
CREATE FUNCTION once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'an ID with a verdict got another, or was to be forgotten' USING ERRCODE = 'CX002';
END $$;
CREATE TRIGGER once BEFORE UPDATE ON item FOR EACH ROW
    WHEN (old.verdict = 1 OR (old.verdict IS NOT NULL AND new.verdict IS NOT NULL))
    EXECUTE FUNCTION once();
CREATE TRIGGER kept BEFORE DELETE ON item FOR EACH ROW EXECUTE FUNCTION once();
