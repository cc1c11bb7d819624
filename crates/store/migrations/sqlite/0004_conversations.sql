-- What pipes keep of chats, by owner and id, until it expires. Times are in milliseconds since 1970.
CREATE TABLE conversation (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    turns INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    -- JSON, or base64 where it is encrypted.
    content TEXT NOT NULL,
    encrypted INTEGER NOT NULL,
    PRIMARY KEY (owner, id)
) STRICT;
CREATE INDEX conversation_by_age ON conversation (owner, updated);
CREATE INDEX conversation_by_expiry ON conversation (expires);
