-- What workers and feeders do with an export, each in one transaction and one round trip. Locks are
-- taken in the order worker, block, export, item, so that there are no deadlocks. A plan for arrays
-- of any length compares each element with each, so functions with long arrays are planned for each
-- call: a commit of 400 takes 5 ms instead of 150.
--   CX001  the worker is gone, or doesn't own a block: it is fenced
--   CX002  worker and database disagree on what is settled
--   CX003  the database was restored to an earlier point
--   CX004  the export has another form than the worker has read

-- Register a worker that has read this form of the export, NULL if none. Returns its number.
CREATE FUNCTION register(its_name text, its_form jsonb) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE me bigint;
BEGIN
    -- While this lock is held, no init() changes the form; commits may go on.
    PERFORM 1 FROM export e WHERE its_form IS NULL OR e.form = its_form FOR KEY SHARE;
    IF NOT FOUND THEN RAISE 'another form' USING ERRCODE = 'CX004'; END IF;
    LOOP
        INSERT INTO worker (export, name) SELECT e.name, its_name FROM export e
            ON CONFLICT DO NOTHING RETURNING id INTO me;
        EXIT WHEN FOUND;
        PERFORM pg_sleep(0.001); -- another one started in this millisecond
    END LOOP;
    RETURN me;
END $$;

-- Record the heartbeat of a worker. If it may judge others, declare those of its export gone that
-- were silent for longer than ttl seconds, and free their blocks. Returns how many were.
CREATE FUNCTION beat(me bigint, its_state text, ttl float8, may_judge boolean)
RETURNS int LANGUAGE plpgsql AS $$
DECLARE silent bigint[]; freed bigint[];
BEGIN
    UPDATE worker SET seen = clock_timestamp(), state = its_state WHERE id = me AND NOT gone;
    IF NOT FOUND THEN RAISE 'gone' USING ERRCODE = 'CX001'; END IF;
    IF NOT may_judge THEN RETURN 0; END IF;
    -- Except workers that are just claiming: see claim().
    WITH found AS (
        SELECT w.id FROM worker w JOIN export e ON w.export = e.name
        WHERE NOT w.gone AND w.seen < clock_timestamp() - make_interval(secs => ttl)
        FOR UPDATE OF w SKIP LOCKED
    ), judged AS (
        UPDATE worker w SET gone = true FROM found WHERE w.id = found.id RETURNING w.id
    ) SELECT array_agg(id) INTO silent FROM judged;
    IF silent IS NULL THEN RETURN 0; END IF;
    WITH lost AS (
        UPDATE block SET owner = NULL, losses = losses + 1 WHERE owner = ANY (silent) RETURNING id
    ) SELECT array_agg(id) INTO freed FROM lost;
    -- One of these IDs may be what kills workers. Each gets its own block, to spare the others.
    WITH suspect AS (
        DELETE FROM block WHERE id = ANY (freed) AND losses >= 5 AND cardinality(keys) > 1
        RETURNING losses, source, plain, keys, lines
    ) INSERT INTO block (losses, source, plain, keys, lines)
        SELECT s.losses, s.source, s.plain, ARRAY[u.key], ARRAY[u.line]
        FROM suspect s, unnest(s.keys, s.lines) u (key, line);
    RETURN cardinality(silent);
END $$;

-- Claim up to n blocks. First those that the worker owns already and are not in `held`, since an
-- answer to it was lost.
CREATE FUNCTION claim(me bigint, held bigint[], n int)
RETURNS TABLE (
    its_id bigint, its_losses int, its_source text,
    its_keys bytea[], its_lines bigint[], its_payloads jsonb[]
) LANGUAGE plpgsql AS $$
BEGIN
    -- This lock keeps others from declaring the worker gone, and lets its own heartbeats pass.
    PERFORM 1 FROM worker w JOIN export e ON w.export = e.name
        WHERE w.id = me AND NOT w.gone FOR KEY SHARE OF w;
    IF NOT FOUND THEN RAISE 'gone' USING ERRCODE = 'CX001'; END IF;
    RETURN QUERY
    WITH mine AS (
        SELECT b.id FROM block b WHERE b.owner = me AND b.id <> ALL (held) ORDER BY b.id LIMIT n
    ), free AS (
        SELECT b.id FROM block b WHERE b.owner IS NULL ORDER BY b.id
        LIMIT greatest(n - (SELECT count(*) FROM mine), 0) FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE block b SET owner = me FROM free WHERE b.id = free.id RETURNING b.*
    ), all_mine AS (
        SELECT * FROM taken UNION ALL SELECT b.* FROM block b JOIN mine USING (id)
    )
    SELECT b.id, b.losses, b.source, b.keys, b.lines, CASE WHEN NOT b.plain THEN (
            SELECT array_agg(i.payload ORDER BY u.place)
            FROM unnest(b.keys) WITH ORDINALITY u (key, place) JOIN item i USING (key)
        ) END
    FROM all_mine b ORDER BY b.id;
END $$;

-- A worker leaves: its blocks are free, and count no loss. A claim of its own that is still under
-- way is waited for.
CREATE FUNCTION leave(me bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM worker WHERE id = me FOR UPDATE;
    UPDATE worker SET gone = true, seen = clock_timestamp(), state = 'left'
        WHERE id = me AND NOT gone;
    UPDATE block SET owner = NULL WHERE owner = me;
END $$;

-- THE commit point: outcomes, objects and acknowledgement, all or none. Returns the number of the
-- objects. Sent twice, it counts once. Refused unless the worker owns all `blocks`, every key is in
-- one of them and has no verdict, and exactly the blocks `finished` have no open ID left.
CREATE FUNCTION commit(
    me bigint, known int, blocks bigint[], finished bigint[],
    sets text[], pendings text[], counts int[], sizes bigint[], hashes bytea[],
    settled bytea[], verdicts smallint[], asked smallint[]
) RETURNS int LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
DECLARE n int; number int; touched bigint[]; done int[];
BEGIN
    PERFORM 1 FROM block WHERE id = ANY (blocks) AND owner = me ORDER BY id FOR UPDATE;
    GET DIAGNOSTICS n = ROW_COUNT;
    SELECT o.no INTO number FROM object o WHERE o.pending = pendings[1] AND o.worker = me;
    IF FOUND THEN RETURN number; END IF;
    IF n <> cardinality(blocks) THEN RAISE 'not its own' USING ERRCODE = 'CX001'; END IF;

    UPDATE export SET last_object = last_object + 1 RETURNING last_object INTO number;
    IF number <= known THEN RAISE 'restored' USING ERRCODE = 'CX003'; END IF;
    INSERT INTO object (no, set, pending, records, bytes, sha256, worker)
        SELECT number, o.set, o.pending, o.records, o.size, o.hash, me
        FROM unnest(sets, pendings, counts, sizes, hashes) o (set, pending, records, size, hash);

    WITH outcome AS (
        SELECT b.id, o.key, o.verdict, o.asked, b.source, u.line
        FROM block b, unnest(b.keys, b.lines) u (key, line)
            JOIN unnest(settled, verdicts, asked) o (key, verdict, asked) USING (key)
        WHERE b.id = ANY (blocks)
    ), changed AS (
        UPDATE item i SET verdict = o.verdict, requests = o.asked, object = number,
            payload = CASE WHEN o.verdict = 1 THEN i.payload ELSE coalesce(i.payload, '{}')
                || jsonb_build_object('source', o.source, 'line', o.line) END
        FROM outcome o WHERE i.key = o.key AND i.verdict IS NULL RETURNING o.id
    ), per_block AS (
        SELECT id, count(*)::int AS ids FROM changed GROUP BY id
    ) SELECT array_agg(id), array_agg(ids), coalesce(sum(ids), 0) INTO touched, done, n
        FROM per_block;
    IF n <> cardinality(settled) THEN RAISE 'settled twice' USING ERRCODE = 'CX002'; END IF;

    WITH complete AS (
        DELETE FROM block b USING unnest(touched, done) t (id, ids)
        WHERE b.id = t.id AND cardinality(b.keys) = t.ids RETURNING b.id
    ) SELECT count(*) FILTER (WHERE id = ANY (finished)) - count(*) FILTER (WHERE id <> ALL (finished))
        INTO n FROM complete;
    IF n <> cardinality(finished) THEN RAISE 'not finished' USING ERRCODE = 'CX002'; END IF;
    UPDATE block b SET (keys, lines) = (
            SELECT array_agg(u.key ORDER BY u.place), array_agg(u.line ORDER BY u.place)
            FROM unnest(b.keys, b.lines) WITH ORDINALITY u (key, line, place)
            WHERE u.key <> ALL (settled)
        ) WHERE b.id = ANY (touched);

    PERFORM add_to_tally(v.verdict, v.ids)
        FROM (SELECT u.verdict, count(*) AS ids FROM unnest(verdicts) u (verdict) GROUP BY 1) v;
    RETURN number;
END $$;

-- Add to the number of items with a verdict.
CREATE FUNCTION add_to_tally(its_verdict smallint, more bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO tally AS t (verdict, ids) VALUES (its_verdict, more)
    ON CONFLICT (verdict) DO UPDATE SET ids = t.ids + excluded.ids
$$;

-- Return the number of the object with this pending name, NULL if it was not committed.
CREATE FUNCTION committed(its_pending text) RETURNS int LANGUAGE sql STABLE AS $$
    SELECT no FROM object WHERE pending = its_pending
$$;

-- Record that an object has its final name.
CREATE FUNCTION mark_published(number int, its_set text) RETURNS void LANGUAGE sql AS $$
    UPDATE object SET published = true WHERE no = number AND set = its_set AND NOT published
$$;

-- Return committed objects without their final name whose workers are gone.
CREATE FUNCTION unpublished_by_the_gone()
RETURNS TABLE (no int, set text, pending text, sha256 bytea) LANGUAGE sql STABLE AS $$
    SELECT o.no, o.set, o.pending, o.sha256 FROM object o LEFT JOIN worker w ON w.id = o.worker
    WHERE NOT o.published AND coalesce(w.gone, true)
    ORDER BY o.no, o.set LIMIT 1000
$$;

-- Add lines of input: new IDs, and those whose verdict is in `again`, are queued. Returns how many
-- IDs were new, how many lines were duplicates, and of these, by verdict, how many lines had an ID
-- with a final verdict, and how many IDs are queued again.
CREATE FUNCTION enqueue(
    sources text[], all_keys bytea[], all_lines bigint[], payloads jsonb[], again smallint[],
    OUT fresh int, OUT duplicates int, OUT settled jsonb, OUT requeued jsonb
) LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
DECLARE new_keys bytea[]; old_keys bytea[];
BEGIN
    PERFORM 1 FROM export FOR UPDATE;
    WITH added AS (
        INSERT INTO item (key, payload)
        SELECT DISTINCT ON (g.key) g.key, g.payload
        FROM unnest(all_keys, payloads) WITH ORDINALITY g (key, payload, place)
        ORDER BY g.key, g.place
        ON CONFLICT DO NOTHING RETURNING key
    ) SELECT coalesce(array_agg(key), '{}') INTO new_keys FROM added;
    fresh := cardinality(new_keys);
    duplicates := cardinality(all_keys) - fresh;
    old_keys := '{}';
    IF duplicates > 0 THEN
        SELECT jsonb_object_agg(s.verdict, s.n) INTO settled FROM (
            SELECT i.verdict, count(*) AS n FROM unnest(all_keys) g (key) JOIN item i USING (key)
            WHERE i.verdict <> ALL (again) GROUP BY 1) s;
        WITH found AS (
            SELECT i.key, i.verdict FROM item i
            WHERE i.key = ANY (all_keys) AND i.verdict = ANY (again) ORDER BY i.key FOR UPDATE
        ), opened AS (
            UPDATE item i SET verdict = NULL FROM found f WHERE i.key = f.key
            RETURNING i.key, f.verdict
        ), counted AS (
            SELECT o.verdict, count(*) AS n, array_agg(o.key) AS keys FROM opened o GROUP BY 1
        ), taken_off AS (
            SELECT c.verdict, c.n, c.keys, add_to_tally(c.verdict, -c.n) FROM counted c
        ) SELECT jsonb_object_agg(t.verdict, t.n),
                coalesce((SELECT array_agg(o.key) FROM opened o), '{}')
            INTO requeued, old_keys FROM taken_off t;
    END IF;
    INSERT INTO block (source, plain, keys, lines)
        SELECT b.source, bool_and(b.plain), array_agg(b.key ORDER BY b.place),
            array_agg(b.line ORDER BY b.place)
        FROM (
            SELECT f.*, (row_number() OVER (PARTITION BY f.source ORDER BY f.place) - 1) / 50 AS nth
            FROM (
                SELECT DISTINCT ON (g.key) g.key, g.source, g.line, g.place, i.payload IS NULL AS plain
                FROM unnest(sources, all_keys, all_lines)
                    WITH ORDINALITY g (source, key, line, place) JOIN item i USING (key)
                WHERE g.key = ANY (new_keys || old_keys) ORDER BY g.key, g.place
            ) f
        ) b GROUP BY b.source, b.nth ORDER BY min(b.place);
    UPDATE export e SET lines = e.lines + cardinality(all_keys), fed = false,
        duplicates = e.duplicates + enqueue.duplicates;
    settled := coalesce(settled, '{}');
    requeued := coalesce(requeued, '{}');
END $$;

-- Mark the input as complete.
CREATE FUNCTION finish_feeding() RETURNS void LANGUAGE sql AS $$
    UPDATE export SET fed = true WHERE NOT fed
$$;

-- Queue all IDs with one of these verdicts again. Returns how many.
CREATE FUNCTION retry(again smallint[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
    PERFORM 1 FROM export FOR UPDATE;
    WITH found AS (
        SELECT i.key, i.verdict FROM item i WHERE i.verdict = ANY (again) FOR UPDATE
    ), opened AS (
        UPDATE item i SET verdict = NULL FROM found f WHERE i.key = f.key
        RETURNING i.key, f.verdict, coalesce(i.payload ->> 'source', '') AS source,
            coalesce((i.payload ->> 'line')::bigint, 0) AS line
    ), queued AS (
        INSERT INTO block (source, plain, keys, lines)
        SELECT b.source, false, array_agg(b.key ORDER BY b.line), array_agg(b.line ORDER BY b.line)
        FROM (
            SELECT o.*, (row_number() OVER (PARTITION BY o.source ORDER BY o.line) - 1) / 50 AS nth
            FROM opened o
        ) b GROUP BY b.source, b.nth ORDER BY b.source, b.nth
    ), taken_off AS (
        SELECT c.n, add_to_tally(c.verdict, -c.n)
        FROM (SELECT o.verdict, count(*) AS n FROM opened o GROUP BY 1) c
    ) SELECT coalesce(sum(t.n), 0) INTO n FROM taken_off t;
    RETURN n;
END $$;

-- Return the objects of up to `most` numbers in the log after a number, in order.
CREATE FUNCTION objects(after int, most int) RETURNS TABLE (
    no int, set text, pending text, records int, bytes bigint, sha256 bytea, worker bigint,
    published boolean, committed_at timestamptz
) LANGUAGE sql STABLE AS $$
    SELECT o.no, o.set, o.pending, o.records, o.bytes, o.sha256, o.worker, o.published,
        o.committed_at
    FROM object o WHERE o.no > after AND o.no <= after::bigint + most ORDER BY o.no, o.set
$$;

-- Return object and verdict of each of these items. One that is retried has an object, no verdict.
CREATE FUNCTION verdicts(of_keys bytea[])
RETURNS TABLE (key bytea, object int, verdict smallint) LANGUAGE sql STABLE AS $$
    SELECT key, object, verdict FROM item WHERE key = ANY (of_keys)
$$;

-- Return the progress of the export by its running counts: quickly, however large it is.
CREATE FUNCTION counts(
    OUT lines bigint, OUT duplicates bigint, OUT verdicts jsonb, OUT queued bigint,
    OUT leased bigint, OUT fed boolean, OUT last_object int, OUT unpublished bigint
) LANGUAGE sql STABLE AS $$
    SELECT e.lines, e.duplicates,
        (SELECT coalesce(jsonb_object_agg(t.verdict, t.ids), '{}') FROM tally t WHERE t.ids <> 0),
        (SELECT count(*) FROM block WHERE owner IS NULL),
        (SELECT count(*) FROM block WHERE owner IS NOT NULL),
        e.fed, e.last_object, (SELECT count(*) FROM object WHERE NOT published)
    FROM export e
$$;

-- Count every item and block, to check the running counts.
CREATE FUNCTION recount(OUT ids bigint, OUT verdicts jsonb, OUT in_blocks bigint)
LANGUAGE sql STABLE AS $$
    SELECT (SELECT count(*) FROM item),
        (SELECT coalesce(jsonb_object_agg(v.verdict, v.n), '{}') FROM (
            SELECT verdict, count(*) AS n FROM item WHERE verdict IS NOT NULL GROUP BY 1) v),
        (SELECT coalesce(sum(cardinality(keys)), 0) FROM block)
$$;

-- Return whether anything is left to do: input, open IDs, objects without their final name. The
-- ORDER BY makes it use the indexes, instead of reading the remains of a long queue.
CREATE FUNCTION queue(OUT fed boolean, OUT has_blocks boolean, OUT has_unpublished boolean)
LANGUAGE sql STABLE AS $$
    SELECT e.fed,
        EXISTS (SELECT 1 FROM block WHERE owner IS NULL ORDER BY id LIMIT 1)
            OR EXISTS (SELECT 1 FROM block WHERE owner IS NOT NULL ORDER BY owner LIMIT 1),
        EXISTS (SELECT 1 FROM object WHERE NOT published ORDER BY no LIMIT 1)
    FROM export e
$$;
