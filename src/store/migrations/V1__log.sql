-- The log, what it is about, and who may see it; accounts and sessions beside it.

-- One row: which log this is, and the key of its cursors. Times are milliseconds since 1970.
CREATE TABLE meta (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    epoch      BLOB NOT NULL,
    cursor_key BLOB NOT NULL,
    canary_at  INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE users (
    user_id       TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    name_folded   TEXT NOT NULL,
    email         TEXT,
    tier          TEXT NOT NULL,
    permissions   TEXT NOT NULL,
    disabled      INTEGER NOT NULL DEFAULT 0,
    password_hash TEXT,
    created_at    INTEGER NOT NULL
) WITHOUT ROWID;
-- People are found by the beginning of their name, in any case.
CREATE INDEX users_by_name ON users (name_folded);

CREATE TABLE threads (
    thread_num    INTEGER PRIMARY KEY,
    thread_id     BLOB NOT NULL UNIQUE,
    title         TEXT,
    owner         TEXT NOT NULL REFERENCES users,
    member_count  INTEGER NOT NULL,
    sequence      INTEGER NOT NULL,
    last_position INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    deleted_at    INTEGER
);
CREATE INDEX threads_by_owner ON threads (owner) WHERE deleted_at IS NULL;

-- Who was a member from which event to which (both included), so that a resume tells a removed user once.
CREATE TABLE memberships (
    user_id        TEXT NOT NULL REFERENCES users,
    thread_num     INTEGER NOT NULL REFERENCES threads,
    from_position  INTEGER NOT NULL,
    until_position INTEGER,
    read_sequence  INTEGER NOT NULL,
    PRIMARY KEY (user_id, thread_num, from_position)
) WITHOUT ROWID;
CREATE INDEX members ON memberships (thread_num, user_id) WHERE until_position IS NULL;
CREATE INDEX joins ON memberships (thread_num, from_position);
CREATE INDEX former_memberships ON memberships (user_id, until_position) WHERE until_position IS NOT NULL;

-- The log. Positions are dense and in commit order; a row is never changed.
CREATE TABLE events (
    position         INTEGER PRIMARY KEY,
    mark             INTEGER NOT NULL,
    thread_num       INTEGER NOT NULL REFERENCES threads,
    sequence         INTEGER NOT NULL,
    kind             INTEGER NOT NULL,
    at               INTEGER NOT NULL,
    by               TEXT NOT NULL,
    message_position INTEGER,
    subject          TEXT
);
CREATE INDEX events_by_thread ON events (thread_num, position);

-- A message lives under the position of the event that created it.
CREATE TABLE messages (
    position          INTEGER PRIMARY KEY,
    message_id        BLOB NOT NULL UNIQUE,
    thread_num        INTEGER NOT NULL REFERENCES threads,
    sequence          INTEGER NOT NULL,
    author            TEXT NOT NULL,
    content           TEXT,
    metadata          TEXT,
    client_message_id TEXT,
    created_at        INTEGER NOT NULL,
    deleted_at        INTEGER
);
CREATE INDEX messages_by_thread ON messages (thread_num, sequence);

-- Retry keys: one namespace a user. `target` is a message or thread id, `body` the fingerprint of what was asked.
CREATE TABLE retry_keys (
    user_id TEXT NOT NULL,
    key     TEXT NOT NULL,
    target  BLOB NOT NULL,
    body    BLOB NOT NULL,
    PRIMARY KEY (user_id, key)
) WITHOUT ROWID;

-- Sessions are found by the SHA-256 of the key in the cookie; the key itself is nowhere.
CREATE TABLE sessions (
    key_hash   BLOB PRIMARY KEY,
    user_id    TEXT REFERENCES users,
    session_id BLOB,
    state      TEXT NOT NULL,
    seen_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- One-time sign-in codes, found by their SHA-256; at most one a user.
CREATE TABLE links (
    user_id    TEXT PRIMARY KEY REFERENCES users,
    code_hash  BLOB NOT NULL UNIQUE,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
