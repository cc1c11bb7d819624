-- What was asked and what it cost. A text that is not known is empty, so that it can be part of a key.
CREATE TABLE pipewright.usage (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    key_label TEXT NOT NULL,
    model TEXT NOT NULL,
    pipe TEXT NOT NULL,
    via TEXT NOT NULL,
    side TEXT NOT NULL,
    task TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    prompt BIGINT NOT NULL,
    cached BIGINT NOT NULL,
    cache_creation BIGINT NOT NULL,
    completion BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    -- Micro-dollars; null when no price is known.
    cost BIGINT
);
CREATE INDEX usage_by_time ON pipewright.usage (at);
CREATE INDEX usage_by_user ON pipewright.usage (user_id, at);

-- The same by day (of UTC, counted from 1970). It outlives the rows.
CREATE TABLE pipewright.usage_daily (
    day BIGINT NOT NULL,
    user_id TEXT NOT NULL,
    key_label TEXT NOT NULL,
    model TEXT NOT NULL,
    pipe TEXT NOT NULL,
    side TEXT NOT NULL,
    task TEXT NOT NULL,
    kind TEXT NOT NULL,
    requests BIGINT NOT NULL,
    errors BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    prompt BIGINT NOT NULL,
    cached BIGINT NOT NULL,
    cache_creation BIGINT NOT NULL,
    completion BIGINT NOT NULL,
    reasoning BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    unpriced BIGINT NOT NULL,
    PRIMARY KEY (day, user_id, key_label, model, pipe, side, task, kind)
);
CREATE INDEX usage_daily_by_user ON pipewright.usage_daily (user_id, day, cost);

-- The name that a user was last seen with.
CREATE TABLE pipewright.usage_user (user_id TEXT PRIMARY KEY, name TEXT NOT NULL);

-- Batches that have been written: one that is sent again, because nobody heard that it had been, is not counted twice.
CREATE TABLE pipewright.usage_batch (id TEXT PRIMARY KEY, at TIMESTAMPTZ NOT NULL DEFAULT now());
