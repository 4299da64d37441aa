-- Credentials and how they end: revocation, families of refresh tokens, tickets, and the list of endings.

-- Tokens signed at or before this time are revoked.
ALTER TABLE users ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;
-- Raised by another password, a revocation and a disabling: a login that looked at the account before is too late.
ALTER TABLE users ADD COLUMN login_epoch INTEGER NOT NULL DEFAULT 0;

CREATE INDEX sessions_by_use ON sessions (seen_at);
CREATE UNIQUE INDEX sessions_by_id ON sessions (session_id) WHERE session_id IS NOT NULL;

-- The tokens that descend from one request of a login.
CREATE TABLE families (
    family_id  BLOB PRIMARY KEY,
    user_id    TEXT NOT NULL REFERENCES users,
    session_id BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    rotations  INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX families_by_session ON families (session_id);
CREATE INDEX families_by_user ON families (user_id);
CREATE INDEX families_by_expiry ON families (expires_at);

-- Refresh tokens by their SHA-256. The last thousand used ones of a family stay: shown again, one ends the family.
CREATE TABLE refresh_tokens (
    token_hash BLOB PRIMARY KEY,
    family_id  BLOB NOT NULL REFERENCES families ON DELETE CASCADE,
    number     INTEGER NOT NULL DEFAULT 0,
    used       INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family_id, number);

-- Tickets by their SHA-256: the context that asked, for one use.
CREATE TABLE tickets (
    ticket_hash        BLOB PRIMARY KEY,
    user_id            TEXT NOT NULL REFERENCES users,
    session_id         BLOB,
    family_id          BLOB,
    issued_at          INTEGER,
    permissions        TEXT NOT NULL,
    tier               TEXT NOT NULL,
    context_expires_at INTEGER NOT NULL,
    expires_at         INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tickets_by_user ON tickets (user_id);
CREATE INDEX tickets_by_expiry ON tickets (expires_at);

-- What ended, in order, for every node to read. Kind 0: a login or a family, 1: everything of a user, 2: the account.
CREATE TABLE endings (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id  TEXT NOT NULL,
    kind     INTEGER NOT NULL,
    ended_id BLOB,
    at       INTEGER NOT NULL
);
CREATE INDEX endings_by_time ON endings (at);
