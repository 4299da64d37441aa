-- The end of the log when a read marker last moved: whoever comes back is told of the markers that moved since.

ALTER TABLE memberships ADD COLUMN read_position INTEGER NOT NULL DEFAULT 0;
CREATE INDEX markers ON memberships (user_id, read_position) WHERE until_position IS NULL AND read_position > 0;
