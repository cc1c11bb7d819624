-- What was asked and what it cost. A text that is not known is empty, so that it can be part of a key.
CREATE TABLE usage (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    key_label TEXT NOT NULL,
    model TEXT NOT NULL,
    pipe TEXT NOT NULL,
    via TEXT NOT NULL,
    side TEXT NOT NULL,
    task TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    prompt INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    cache_creation INTEGER NOT NULL,
    completion INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    -- Micro-dollars; null when no price is known.
    cost INTEGER
) STRICT;
CREATE INDEX usage_by_time ON usage (at);
CREATE INDEX usage_by_user ON usage (user_id, at);

-- The same by day (of UTC, counted from 1970). It outlives the rows.
CREATE TABLE usage_daily (
    day INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    key_label TEXT NOT NULL,
    model TEXT NOT NULL,
    pipe TEXT NOT NULL,
    side TEXT NOT NULL,
    task TEXT NOT NULL,
    kind TEXT NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    prompt INTEGER NOT NULL,
    cached INTEGER NOT NULL,
    cache_creation INTEGER NOT NULL,
    completion INTEGER NOT NULL,
    reasoning INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    PRIMARY KEY (day, user_id, key_label, model, pipe, side, task, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_daily_by_user ON usage_daily (user_id, day, cost);

-- The name that a user was last seen with.
CREATE TABLE usage_user (user_id TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT, WITHOUT ROWID;
