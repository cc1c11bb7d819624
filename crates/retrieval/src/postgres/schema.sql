-- `hash` is that of the rule, which may be longer than an index takes.
CREATE TABLE audience (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, hash BYTEA NOT NULL UNIQUE, rule TEXT NOT NULL);
CREATE TABLE member (
    principal TEXT NOT NULL,
    audience BIGINT NOT NULL REFERENCES audience,
    PRIMARY KEY (principal, audience)
);

CREATE TABLE collection (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL UNIQUE,
    settings TEXT NOT NULL,
    audience BIGINT NOT NULL REFERENCES audience,
    model TEXT,
    dimensions BIGINT,
    CHECK ((model IS NULL) = (dimensions IS NULL))
);

CREATE TABLE document (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection BIGINT NOT NULL REFERENCES collection ON DELETE CASCADE,
    name TEXT COLLATE "C" NOT NULL,
    title TEXT NOT NULL,
    url TEXT,
    metadata TEXT NOT NULL,
    audience BIGINT NOT NULL REFERENCES audience,
    fingerprint BYTEA NOT NULL,
    chunks BIGINT NOT NULL,
    stored_at BIGINT NOT NULL,
    -- Why a later version could not be read.
    failure TEXT,
    UNIQUE (collection, name)
);

CREATE SEQUENCE chunk_id;
CREATE TABLE chunk (
    id BIGINT PRIMARY KEY,
    document BIGINT NOT NULL REFERENCES document ON DELETE CASCADE,
    place BIGINT NOT NULL,
    heading TEXT NOT NULL,
    text TEXT NOT NULL,
    tokens BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    -- The page on which the chunk begins.
    page BIGINT,
    UNIQUE (document, place)
);
CREATE INDEX chunk_by_hash ON chunk (hash);

-- Where the vectors of a model of a collection are: in a table of their own, `vector_` and this number, for a graph over vectors needs
-- all of one length, and what another collection holds must not stand in its way.
CREATE TABLE space (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    collection BIGINT NOT NULL REFERENCES collection,
    model TEXT NOT NULL,
    dimensions BIGINT NOT NULL,
    UNIQUE (collection, model)
);

-- What a term occurs in; the same bytes as in every engine.
CREATE TABLE posting (
    collection BIGINT NOT NULL REFERENCES collection ON DELETE CASCADE,
    term TEXT COLLATE "C" NOT NULL,
    audience BIGINT NOT NULL,
    block BIGINT NOT NULL,
    entries BYTEA NOT NULL,
    PRIMARY KEY (collection, term, audience, block)
);

CREATE TABLE extent (
    collection BIGINT NOT NULL REFERENCES collection ON DELETE CASCADE,
    audience BIGINT NOT NULL,
    chunks BIGINT NOT NULL,
    terms BIGINT NOT NULL,
    PRIMARY KEY (collection, audience)
);
