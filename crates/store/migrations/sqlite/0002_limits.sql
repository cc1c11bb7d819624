-- What was taken of a key, and when (in ms).
CREATE TABLE limit_hit (
    key TEXT NOT NULL,
    at INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (key, at)
) STRICT, WITHOUT ROWID;

-- A window over a key's hits: `used` is the sum of those after `tail`; `asked` is when it was last asked for.
CREATE TABLE limit_window (
    key TEXT NOT NULL,
    span INTEGER NOT NULL,
    used INTEGER NOT NULL,
    tail INTEGER NOT NULL,
    asked INTEGER NOT NULL,
    PRIMARY KEY (key, span)
) STRICT, WITHOUT ROWID;
