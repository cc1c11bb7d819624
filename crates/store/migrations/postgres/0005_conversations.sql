-- What pipes keep of chats, by owner and id, until it expires. Times are in milliseconds since 1970.
CREATE TABLE pipewright.conversation (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    turns BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    created BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    -- JSON, or base64 where it is encrypted.
    content TEXT NOT NULL,
    encrypted BOOLEAN NOT NULL,
    PRIMARY KEY (owner, id)
);
CREATE INDEX conversation_by_age ON pipewright.conversation (owner, updated);
CREATE INDEX conversation_by_expiry ON pipewright.conversation (expires);
