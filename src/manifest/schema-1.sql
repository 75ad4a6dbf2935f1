CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Every pack and tree object that this writer made for the open generation, by a number that
-- recipes use until it is named. A roll empties the table, and the numbers begin anew.
CREATE TABLE pack (
    number     INTEGER PRIMARY KEY,
    id         BLOB    NOT NULL UNIQUE,
    profile    INTEGER NOT NULL,
    stored_len INTEGER NOT NULL,
    raw_len    INTEGER NOT NULL,
    used_at    INTEGER NOT NULL, -- when a snapshot last named it; until then, when it was made
    retired    INTEGER NOT NULL DEFAULT 0,
    chunks     BLOB -- its entry of the next segment, until a snapshot names it
);

-- Where each chunk of the open generation is.
CREATE TABLE chunk (
    id      BLOB    PRIMARY KEY,
    pack    INTEGER NOT NULL,
    offset  INTEGER NOT NULL,
    raw_len INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE snapshot (
    id         TEXT    PRIMARY KEY,
    time       INTEGER NOT NULL,
    generation TEXT    NOT NULL,
    tags       TEXT    NOT NULL,
    note       BLOB    NOT NULL,
    facts      TEXT    NOT NULL -- counts and lengths, for listing without a key
) WITHOUT ROWID;

-- Objects on their way: what leaves for a store leaves in the order of `position`.
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY,
    store    TEXT NOT NULL,
    key      TEXT NOT NULL,
    sha256   BLOB NOT NULL,
    bytes    BLOB,
    path     TEXT
);
CREATE INDEX outbox_store ON outbox (store, position);

-- What a store acknowledged.
CREATE TABLE receipt (
    store      TEXT NOT NULL,
    key        TEXT NOT NULL,
    time       INTEGER NOT NULL,
    version_id TEXT,
    checksum   BLOB,
    PRIMARY KEY (store, key)
) WITHOUT ROWID;
