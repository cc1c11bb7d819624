-- What was taken of a key, and when (in ms).
CREATE TABLE pipewright.limit_hit (
    key TEXT NOT NULL,
    at BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (key, at)
);

-- A window over a key's hits: `used` is the sum of those after `tail`; `asked` is when it was last asked for.
CREATE TABLE pipewright.limit_window (
    key TEXT NOT NULL,
    span BIGINT NOT NULL,
    used BIGINT NOT NULL,
    tail BIGINT NOT NULL,
    asked BIGINT NOT NULL,
    PRIMARY KEY (key, span)
) WITH (fillfactor = 50);

-- Holds these keys until the transaction ends, in one order for all, and tells the moment. For a key, time never goes back.
CREATE FUNCTION pipewright.limit_begin(keys TEXT[]) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    lock BIGINT;
BEGIN
    FOR lock IN SELECT DISTINCT hashtextextended(key, 9099) FROM unnest(keys) AS key ORDER BY 1 LOOP
        PERFORM pg_advisory_xact_lock(lock);
    END LOOP;
    RETURN greatest(
        floor(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT,
        (SELECT max(w.asked) FROM pipewright.limit_window w WHERE w.key = ANY (keys)));
END $$;

-- What is in a window at this moment, after what has fallen out of it was taken off.
CREATE FUNCTION pipewright.limit_settled(of_key TEXT, of_span BIGINT, moment BIGINT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    fresh BIGINT := moment - of_span;
    kept RECORD;
    gone BIGINT;
BEGIN
    SELECT w.used, w.tail INTO kept FROM pipewright.limit_window w WHERE w.key = of_key AND w.span = of_span;
    IF NOT FOUND THEN
        SELECT COALESCE(sum(h.amount), 0) INTO gone FROM pipewright.limit_hit h WHERE h.key = of_key AND h.at > fresh;
        INSERT INTO pipewright.limit_window (key, span, used, tail, asked) VALUES (of_key, of_span, gone, fresh, moment);
        RETURN gone;
    END IF;
    SELECT COALESCE(sum(h.amount), 0) INTO gone FROM pipewright.limit_hit h
        WHERE h.key = of_key AND h.at > kept.tail AND h.at <= fresh;
    UPDATE pipewright.limit_window w SET used = kept.used - gone, tail = fresh, asked = moment
        WHERE w.key = of_key AND w.span = of_span;
    IF gone > 0 THEN
        DELETE FROM pipewright.limit_hit h WHERE h.key = of_key
            AND h.at <= (SELECT min(w.tail) FROM pipewright.limit_window w WHERE w.key = of_key);
    END IF;
    RETURN kept.used - gone;
END $$;

-- Books more of a key, in all of its windows.
CREATE FUNCTION pipewright.limit_book(of_key TEXT, moment BIGINT, more BIGINT) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO pipewright.limit_hit AS h (key, at, amount) VALUES (of_key, moment, more)
        ON CONFLICT (key, at) DO UPDATE SET amount = h.amount + excluded.amount;
    UPDATE pipewright.limit_window w SET used = w.used + more WHERE w.key = of_key;
END $$;

-- Takes all or nothing. `refused` counts from 1, and is null when all was taken; `wait` is null when the take never fits.
CREATE FUNCTION pipewright.limit_admit(
    keys TEXT[], spans BIGINT[], maxes BIGINT[], amounts BIGINT[],
    OUT refused INT, OUT used BIGINT[], OUT wait BIGINT
) LANGUAGE plpgsql AS $$
DECLARE
    moment BIGINT := pipewright.limit_begin(keys);
    wanted BIGINT;
    room BIGINT;
    booked RECORD;
BEGIN
    used := ARRAY[]::BIGINT[];
    FOR i IN 1 .. cardinality(keys) LOOP
        used := used || pipewright.limit_settled(keys[i], spans[i], moment);
        wanted := greatest(amounts[i], 1);
        CONTINUE WHEN used[i] + wanted <= maxes[i];
        room := NULL;
        IF wanted <= maxes[i] THEN
            SELECT fallen.at + spans[i] - moment INTO room FROM (
                SELECT h.at, sum(h.amount) OVER (ORDER BY h.at) AS gone FROM pipewright.limit_hit h
                WHERE h.key = keys[i] AND h.at > moment - spans[i]
            ) AS fallen WHERE fallen.gone >= used[i] + wanted - maxes[i] ORDER BY fallen.at LIMIT 1;
        END IF;
        -- Of several, the one that has to wait the longest.
        IF refused IS NULL OR (wait IS NOT NULL AND (room IS NULL OR room > wait)) THEN
            refused := i;
            wait := room;
        END IF;
    END LOOP;
    IF refused IS NOT NULL THEN
        RETURN;
    END IF;
    FOR booked IN SELECT key, max(amount) AS most FROM unnest(keys, amounts) AS taken (key, amount) GROUP BY key LOOP
        CONTINUE WHEN booked.most = 0;
        PERFORM pipewright.limit_book(booked.key, moment, booked.most);
        FOR i IN 1 .. cardinality(keys) LOOP
            IF keys[i] = booked.key THEN
                used[i] := used[i] + booked.most;
            END IF;
        END LOOP;
    END LOOP;
END $$;

-- Forgets windows that nobody has asked for in twice their length, and hits that no window looks at; says how many. Keys that are just being
-- taken are left for the next time. Hits of a key without windows stay for a day: a long answer may be booked after its window was forgotten.
CREATE FUNCTION pipewright.limit_sweep() RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    moment BIGINT := floor(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT;
    of_key TEXT;
    count BIGINT;
    forgotten BIGINT := 0;
BEGIN
    FOR of_key IN
        (SELECT w.key FROM pipewright.limit_window w WHERE w.asked <= moment - 2 * w.span LIMIT 200)
        UNION
        (SELECT h.key FROM pipewright.limit_hit h WHERE h.at <= COALESCE(
            (SELECT min(w.tail) FROM pipewright.limit_window w WHERE w.key = h.key), moment - 86400000) LIMIT 200)
    LOOP
        CONTINUE WHEN NOT pg_try_advisory_xact_lock(hashtextextended(of_key, 9099));
        DELETE FROM pipewright.limit_window w WHERE w.key = of_key AND w.asked <= moment - 2 * w.span;
        GET DIAGNOSTICS count = ROW_COUNT;
        forgotten := forgotten + count;
        DELETE FROM pipewright.limit_hit h WHERE h.key = of_key AND h.at <= COALESCE(
            (SELECT min(w.tail) FROM pipewright.limit_window w WHERE w.key = of_key), moment - 86400000);
        GET DIAGNOSTICS count = ROW_COUNT;
        forgotten := forgotten + count;
    END LOOP;
    RETURN forgotten;
END $$;
