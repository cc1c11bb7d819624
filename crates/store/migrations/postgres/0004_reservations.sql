-- What was spent in one period of the calendar, in micro-dollars; it begins with what `usage_daily` holds of it.
CREATE TABLE pipewright.limit_spending (
    key TEXT PRIMARY KEY,
    used BIGINT NOT NULL,
    until BIGINT NOT NULL
) WITH (fillfactor = 50);

-- What requests under way are expected to take of a key. It counts until the request has ended, or until it expires.
CREATE TABLE pipewright.limit_reservation (
    key TEXT NOT NULL,
    holder TEXT NOT NULL,
    amount BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (key, holder)
);
CREATE INDEX limit_reservation_by_holder ON pipewright.limit_reservation (holder);

-- What was spent in a period. The first time it is summed from the usage: whole days from `usage_daily`, a part of a day from `usage`.
-- A user or a pattern of models that is null stands for all.
CREATE FUNCTION pipewright.limit_spent(of_key TEXT, of_since BIGINT, of_until BIGINT, of_user TEXT, of_models TEXT)
RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    sum_so_far BIGINT;
    first_day BIGINT := (of_since + 86399999) / 86400000;
BEGIN
    SELECT s.used INTO sum_so_far FROM pipewright.limit_spending s WHERE s.key = of_key;
    IF FOUND THEN
        RETURN sum_so_far;
    END IF;
    SELECT COALESCE(sum(costs.cost), 0) INTO sum_so_far FROM (
        SELECT d.cost FROM pipewright.usage_daily d WHERE d.day >= first_day
            AND (of_user IS NULL OR d.user_id = of_user) AND (of_models IS NULL OR d.model LIKE of_models ESCAPE '\')
        UNION ALL
        SELECT u.cost FROM pipewright.usage u WHERE u.at >= of_since AND u.at < first_day * 86400000
            AND (of_user IS NULL OR u.user_id = of_user) AND (of_models IS NULL OR u.model LIKE of_models ESCAPE '\')
    ) AS costs;
    INSERT INTO pipewright.limit_spending (key, used, until) VALUES (of_key, sum_so_far, of_until);
    RETURN sum_so_far;
END $$;

-- Takes and reserves all or nothing. A span of 0 is a period of the calendar, told by `sinces` and `untils`. `refused` counts from 1, and is
-- null when all was taken; `held` is what others have reserved; `wait` is null when the take never fits, and `pause` when only
-- reservations stand in the way.
CREATE FUNCTION pipewright.limit_reserve(
    keys TEXT[], spans BIGINT[], maxes BIGINT[], amounts BIGINT[], reserves BIGINT[],
    sinces BIGINT[], untils BIGINT[], users TEXT[], models TEXT[],
    of_holder TEXT, hold BIGINT, pause BIGINT,
    OUT refused INT, OUT used BIGINT[], OUT held BIGINT[], OUT wait BIGINT
) LANGUAGE plpgsql AS $$
DECLARE
    moment BIGINT := pipewright.limit_begin(keys);
    wanted BIGINT;
    room BIGINT;
    booked RECORD;
BEGIN
    used := ARRAY[]::BIGINT[];
    held := ARRAY[]::BIGINT[];
    FOR i IN 1 .. cardinality(keys) LOOP
        IF spans[i] > 0 THEN
            used := used || pipewright.limit_settled(keys[i], spans[i], moment);
        ELSE
            used := used || pipewright.limit_spent(keys[i], sinces[i], untils[i], users[i], models[i]);
        END IF;
        held := held || (SELECT COALESCE(sum(r.amount), 0)::BIGINT FROM pipewright.limit_reservation r
            WHERE r.key = keys[i] AND r.holder <> of_holder AND r.expires > moment);
        wanted := greatest(amounts[i], 1);
        CONTINUE WHEN used[i] + held[i] + wanted <= maxes[i];
        room := NULL;
        IF wanted > maxes[i] THEN
            NULL;
        ELSIF used[i] + wanted <= maxes[i] THEN
            room := pause;
        ELSIF spans[i] > 0 THEN
            SELECT fallen.at + spans[i] - moment INTO room FROM (
                SELECT h.at, sum(h.amount) OVER (ORDER BY h.at) AS gone FROM pipewright.limit_hit h
                WHERE h.key = keys[i] AND h.at > moment - spans[i]
            ) AS fallen WHERE fallen.gone >= used[i] + wanted - maxes[i] ORDER BY fallen.at LIMIT 1;
        ELSE
            room := greatest(untils[i] - moment, 0);
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
    FOR booked IN
        SELECT key, max(amount) AS amount, max(reserve) AS reserve
        FROM unnest(keys, amounts, reserves) AS taken (key, amount, reserve) GROUP BY key ORDER BY key
    LOOP
        IF booked.reserve > 0 THEN
            INSERT INTO pipewright.limit_reservation AS r (key, holder, amount, expires)
                VALUES (booked.key, of_holder, booked.reserve, moment + hold)
                ON CONFLICT (key, holder) DO UPDATE SET amount = r.amount + excluded.amount, expires = excluded.expires;
        END IF;
        CONTINUE WHEN booked.amount = 0;
        PERFORM pipewright.limit_book(booked.key, moment, booked.amount);
        FOR i IN 1 .. cardinality(keys) LOOP
            IF keys[i] = booked.key THEN
                used[i] := used[i] + booked.amount;
            END IF;
        END LOOP;
    END LOOP;
END $$;

-- Books more of keys. What belongs to a period of the calendar that nobody has asked for yet is in the usage already.
CREATE FUNCTION pipewright.limit_book_all(keys TEXT[], amounts BIGINT[], are_spendings BOOLEAN[]) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    moment BIGINT := pipewright.limit_begin(keys);
BEGIN
    FOR i IN 1 .. cardinality(keys) LOOP
        IF are_spendings[i] THEN
            UPDATE pipewright.limit_spending s SET used = s.used + amounts[i] WHERE s.key = keys[i];
        ELSE
            PERFORM pipewright.limit_book(keys[i], moment, amounts[i]);
        END IF;
    END LOOP;
END $$;

-- Forgets reservations that have expired and periods that are over; says how many.
CREATE FUNCTION pipewright.limit_sweep_reservations() RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    moment BIGINT := floor(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT;
    count BIGINT;
    forgotten BIGINT := 0;
BEGIN
    DELETE FROM pipewright.limit_reservation r WHERE (r.key, r.holder) IN
        (SELECT e.key, e.holder FROM pipewright.limit_reservation e WHERE e.expires <= moment LIMIT 500);
    GET DIAGNOSTICS count = ROW_COUNT;
    forgotten := forgotten + count;
    DELETE FROM pipewright.limit_spending s WHERE s.key IN
        (SELECT e.key FROM pipewright.limit_spending e WHERE e.until <= moment - 86400000 LIMIT 500);
    GET DIAGNOSTICS count = ROW_COUNT;
    RETURN forgotten + count;
END $$;
