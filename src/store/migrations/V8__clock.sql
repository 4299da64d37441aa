-- The latest time that the clock of a server on this file has shown, at most a day ahead of what it shows now. A revocation
-- reaches the tokens that are dated up to then: a clock that was ahead and was set back has let them in.
ALTER TABLE meta ADD COLUMN latest_at INTEGER NOT NULL DEFAULT 0;
-- The time by which a sweep last deleted what was too old; a server that starts much later waits before it deletes more.
ALTER TABLE meta ADD COLUMN swept_at INTEGER NOT NULL DEFAULT 0;
