-- What was spent in one period of the calendar, in micro-dollars; it begins with what `usage_daily` holds of it.
CREATE TABLE limit_spending (
    key TEXT NOT NULL PRIMARY KEY,
    used INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What requests under way are expected to take of a key. It counts until the request has ended, or until it expires.
CREATE TABLE limit_reservation (
    key TEXT NOT NULL,
    holder TEXT NOT NULL,
    amount INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (key, holder)
) STRICT, WITHOUT ROWID;
CREATE INDEX limit_reservation_by_holder ON limit_reservation (holder);
