-- The limits of one account, for all workers of all exports in this database: requests in flight,
-- requests per second, a pause for all. All times are on the database's clock; seconds are float8.

-- One row. `rate` and `in_flight` are the limits as they were set. `rate_now` is at most `rate`,
-- and lower while the API refuses requests: it follows from `learned`, the figures of an
-- AdaptiveRate (cxai/governor/adaptive.py), NULL without any. `revision` counts its changes: each
-- change names the revision that it is based on, so no lock is held meanwhile.
CREATE TABLE governor (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    rate float8 NOT NULL CHECK (rate > 0 AND rate < 'Infinity'),
    in_flight int NOT NULL CHECK (in_flight > 0),
    rate_now float8 NOT NULL CHECK (rate_now > 0 AND rate_now <= rate),
    learned float8[],
    revision bigint NOT NULL DEFAULT 0,
    pause_until timestamptz NOT NULL DEFAULT '-infinity'
);

-- The last tick that was granted, in microseconds since 1970. It is a sequence, since a row that is
-- updated fifty times a second leaves as many dead versions for as long as any transaction is open
-- elsewhere (a nightly pg_dump), and each reservation would read them.
CREATE SEQUENCE last_tick MINVALUE 0 START 0;

-- One row for each request that may be in flight. It is free without a holder and after `until`.
-- Those from `in_flight` on are left over from a higher limit, and not taken again. They count as
-- long as the requests that hold them are under way.
CREATE TABLE slot (
    n int PRIMARY KEY,
    holder bigint,
    until timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);

-- The number of slots that each worker wants. `beat` numbers its messages.
CREATE TABLE demand (
    worker bigint PRIMARY KEY,
    wants int NOT NULL,
    beat bigint NOT NULL,
    seen timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Set the limits. Another rate discards what was learned about the API's own. Workers follow with
-- their next beat.
CREATE FUNCTION limit_to(new_rate float8, new_in_flight int) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO governor AS g (rate, in_flight, rate_now) VALUES (new_rate, new_in_flight, new_rate)
    ON CONFLICT (one) DO UPDATE SET
        in_flight = new_in_flight,
        rate = new_rate,
        rate_now = CASE WHEN g.rate = new_rate THEN g.rate_now ELSE new_rate END,
        learned = CASE WHEN g.rate = new_rate THEN g.learned END,
        revision = g.revision + 1;
    INSERT INTO slot (n) SELECT generate_series(0, new_in_flight - 1) ON CONFLICT DO NOTHING;
END $$;

-- Reserve the next ticks of the account for one worker, up to `most` and within `slice_s`:
-- `granted` requests may leave, at first_s and then every step_s. The first is not before lead_s
-- from now, the time that the answer takes to the worker. If the next tick is further ahead than
-- horizon_s, none is granted: try again in wait_s. So no worker ever holds a tick further ahead
-- than horizon_s + slice_s: others don't wait for long, and a pause holds for all after that time.
-- `is_in_use` is whether the rate, and not the worker, determined the first tick. `margin` is the
-- share of the rate that is left unused, since requests that are sent evenly arrive less evenly.
--
-- Above ten requests a second this does not wait for the disk (synchronous_commit), so a crash of
-- the server may undo the last reservations. It ends all sessions, too, and the first tick of a new
-- one is so much later that all requests whose reservations were undone have left by then.
CREATE FUNCTION reserve(
    most int, lead_s float8, horizon_s float8, slice_s float8, margin float8,
    OUT now_s float8, OUT granted int, OUT first_s float8, OUT step_s float8, OUT wait_s float8,
    OUT is_in_use boolean, OUT paused_s float8, OUT rate_limit float8, OUT rate_allowed float8,
    OUT has_learned boolean
) LANGUAGE plpgsql AS $$
DECLARE
    g governor;
    last_s float8;
    next_s float8;
    since_s float8;
BEGIN
    SELECT * INTO STRICT g FROM governor FOR NO KEY UPDATE;
    now_s := extract(epoch FROM clock_timestamp());
    step_s := (1 + margin) / g.rate_now;
    rate_limit := g.rate;
    rate_allowed := g.rate_now;
    has_learned := g.learned IS NOT NULL;
    paused_s := greatest(0, extract(epoch FROM g.pause_until) - now_s);

    -- It is further ahead only if the clock was set back since.
    SELECT least(last_value / 1e6, now_s + horizon_s + slice_s) INTO last_s FROM last_tick;
    next_s := greatest(last_s + step_s, now_s + paused_s);
    IF step_s < 0.1 THEN
        PERFORM set_config('synchronous_commit', 'off', true);
        since_s := nullif(current_setting('cxai.session_since', true), '')::float8;
        IF since_s IS NULL THEN
            since_s := now_s;
            PERFORM set_config('cxai.session_since', now_s::text, false);
        END IF;
        next_s := greatest(next_s, least(since_s, now_s) + horizon_s + slice_s + step_s);
    END IF;
    is_in_use := last_s + step_s > now_s + lead_s;
    IF next_s > now_s + horizon_s THEN
        granted := 0;
        wait_s := next_s - now_s - horizon_s;
        RETURN;
    END IF;
    first_s := greatest(next_s, now_s + least(lead_s, horizon_s));
    granted := least(most, 1 + floor(slice_s / step_s));
    wait_s := 0;
    PERFORM setval('last_tick', ceil((first_s + (granted - 1) * step_s) * 1e6)::bigint);
END $$;

-- Let no request of any worker leave for this time; never shortens a pause.
CREATE FUNCTION pause(seconds float8) RETURNS void
LANGUAGE sql AS $$
    UPDATE governor
    SET pause_until = greatest(pause_until, clock_timestamp() + make_interval(secs => seconds));
$$;

-- Return what was learned about the API so far, to be changed with `adapt`.
CREATE FUNCTION learned(
    OUT now_s float8, OUT revision bigint, OUT rate float8, OUT figures float8[]
) LANGUAGE sql AS $$
    SELECT extract(epoch FROM clock_timestamp()), g.revision, g.rate, g.learned FROM governor g;
$$;

-- Replace what was learned, if it has not changed since it was read. Returns whether it was.
CREATE FUNCTION adapt(read_revision bigint, new_rate float8, figures float8[]) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE governor SET rate_now = new_rate, learned = figures, revision = revision + 1
    WHERE revision = read_revision;
    RETURN FOUND;
END $$;

-- Return a fair share of `slots` for one worker: those that want less than an equal share leave the
-- rest to the others, and a remainder goes to the oldest of those that want most. With fewer slots
-- than workers, some have one each, and others after the next `turn`, so that no ID waits for ever
-- with a worker that never has one.
CREATE FUNCTION share(me bigint, slots int, live_s float8, turn text) RETURNS int
LANGUAGE plpgsql STABLE AS $$
DECLARE
    seen_after timestamptz := clock_timestamp() - make_interval(secs => live_s);
    rest int := slots;
    workers int;
    given int;
    d record;
BEGIN
    SELECT count(*) INTO workers FROM demand WHERE wants > 0 AND seen > seen_after;
    FOR d IN
        SELECT worker, wants FROM demand WHERE wants > 0 AND seen > seen_after
        ORDER BY
            CASE WHEN slots < workers THEN md5(worker || turn) END,
            wants,
            worker DESC
    LOOP
        given := least(d.wants, rest / workers);
        IF d.worker = me THEN
            RETURN given;
        END IF;
        rest := rest - given;
        workers := workers - 1;
    END LOOP;
    RETURN 0;
END $$;

-- Once a beat, for one worker: hold the slots in `keep` for another ttl_s from now, release its
-- other ones, and take free ones up to its share of what all live workers want (those with a beat
-- within live_s). `held` are the slots that it holds then, `may_use` how many of them it may use,
-- and `slots` how many the account has. All are NULL, and nothing has changed, if it was declared
-- gone, or if a later beat has overtaken this one.
CREATE FUNCTION renew_slots(
    me bigint, this_beat bigint, keep int[], wanted int, ttl_s float8, live_s float8,
    OUT held int[], OUT may_use int, OUT slots int
) LANGUAGE plpgsql AS $$
DECLARE
    new_until timestamptz;
    room int;
BEGIN
    PERFORM 1 FROM worker WHERE id = me AND NOT gone;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM demand WHERE seen < clock_timestamp() - interval '1 day';
    INSERT INTO demand AS d (worker, wants, beat, seen)
    VALUES (me, wanted, this_beat, clock_timestamp())
    ON CONFLICT (worker) DO UPDATE SET wants = wanted, beat = this_beat, seen = clock_timestamp()
    WHERE d.beat < this_beat;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    SELECT in_flight INTO STRICT slots FROM governor;
    may_use := share(me, slots, live_s, date_trunc('minute', clock_timestamp())::text);
    new_until := clock_timestamp() + make_interval(secs => ttl_s);
    UPDATE slot SET holder = NULL WHERE holder = me AND n <> ALL (keep);
    UPDATE slot SET until = new_until WHERE holder = me;
    room := may_use - cardinality(keep);
    -- Slots held above a lowered limit count against it: while there are any, one worker at a time
    -- counts all. They are not taken again, so that without any there is no need.
    IF EXISTS (
        SELECT FROM slot WHERE n >= slots AND holder IS NOT NULL AND until >= clock_timestamp()
    ) THEN
        PERFORM 1 FROM governor FOR NO KEY UPDATE;
        SELECT least(room, slots - count(*)) INTO room
        FROM slot WHERE holder IS NOT NULL AND until >= clock_timestamp();
    END IF;
    WITH free AS MATERIALIZED (
        SELECT n FROM slot
        WHERE n < slots AND (holder IS NULL OR until < clock_timestamp())
        ORDER BY n
        LIMIT greatest(0, room)
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE slot SET holder = me, until = new_until FROM free WHERE slot.n = free.n;
    held := ARRAY(SELECT n FROM slot WHERE holder = me ORDER BY n);
END $$;

-- Release all slots of a worker that has nothing in flight and starts nothing more.
CREATE FUNCTION give_slots_back(me bigint) RETURNS void
LANGUAGE sql AS $$
    DELETE FROM demand WHERE worker = me;
    UPDATE slot SET holder = NULL WHERE holder = me;
$$;

-- Return the limits and their use, for `cxai status`.
CREATE FUNCTION account_state(
    OUT rate float8, OUT rate_now float8, OUT in_flight int, OUT in_use bigint, OUT paused_s float8
) LANGUAGE sql STABLE AS $$
    SELECT g.rate, g.rate_now, g.in_flight,
        (SELECT count(*) FROM slot WHERE holder IS NOT NULL AND until > clock_timestamp()),
        greatest(0, extract(epoch FROM g.pause_until - clock_timestamp())::float8)
    FROM governor g;
$$;
