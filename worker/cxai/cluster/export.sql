-- The tables of one export, in a schema of its own. The functions in books.sql find them by the
-- search path of the connection. Codes of verdicts: cluster/codes.py.

CREATE TABLE export (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    name text NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(), -- also in export.json at its destination
    form jsonb NOT NULL,              -- decides form and origin of rows; fixed by the first line
    terms jsonb NOT NULL,             -- may be changed by `cxai cluster init` at any time
    last_object int NOT NULL DEFAULT 0,
    lines bigint NOT NULL DEFAULT 0,      -- of input; lines = items + duplicates
    duplicates bigint NOT NULL DEFAULT 0,
    fed boolean NOT NULL DEFAULT false,   -- whether the input is complete
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 10);

-- Every distinct ID, for ever. Pages have space for updates in place, so that indexes grow once.
CREATE TABLE item (
    key bytea PRIMARY KEY,
    object int,           -- the one with its lines; kept when the ID is queued again
    verdict smallint,     -- NULL while it is open and in exactly one block
    requests smallint,
    payload jsonb         -- what is not in the key; for an ID that failed, its place in the input
) WITH (fillfactor = 85);

-- The number of items by verdict, so that the status of a large export costs nothing.
CREATE TABLE tally (
    verdict smallint PRIMARY KEY,
    ids bigint NOT NULL
) WITH (fillfactor = 10);

-- The queue: up to 50 open IDs a row. A row is deleted when all its IDs have a verdict.
CREATE TABLE block (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner bigint,                  -- a worker; NULL while it is free
    losses int NOT NULL DEFAULT 0, -- workers that were declared gone while they had it
    source text NOT NULL,          -- the file or queue of its IDs
    plain boolean NOT NULL,        -- whether no item has a payload
    keys bytea[] NOT NULL,
    lines bigint[] NOT NULL
);
CREATE INDEX block_free ON block (id) WHERE owner IS NULL;
CREATE INDEX block_owned ON block (owner, id) WHERE owner IS NOT NULL;

-- The commit log: an object counts if and only if it has a row. Numbers have no gaps.
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

-- Protects against bugs elsewhere: a record (verdict 1 is ok) is never replaced, and any other
-- verdict only after the ID was queued again.
CREATE FUNCTION once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE 'an ID with a verdict got another, or was to be forgotten' USING ERRCODE = 'CX002';
END $$;
CREATE TRIGGER once BEFORE UPDATE ON item FOR EACH ROW
    WHEN (old.verdict = 1 OR (old.verdict IS NOT NULL AND new.verdict IS NOT NULL))
    EXECUTE FUNCTION once();
CREATE TRIGGER kept BEFORE DELETE ON item FOR EACH ROW EXECUTE FUNCTION once();
