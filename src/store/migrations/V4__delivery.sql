-- Edits; what lets the oldest of the log go; and what keeps a thread of a million messages as quick as a short one.

ALTER TABLE messages ADD COLUMN edited_at INTEGER;

-- Who created a thread by which retry key: the key goes with the thread.
ALTER TABLE threads ADD COLUMN created_by TEXT;
ALTER TABLE threads ADD COLUMN retry_key TEXT;
-- 1 while a deleted thread has messages whose text is still to be erased; nobody is shown it.
ALTER TABLE threads ADD COLUMN to_erase INTEGER NOT NULL DEFAULT 0;
CREATE INDEX threads_to_erase ON threads (thread_num) WHERE to_erase = 1;
CREATE INDEX deleted_threads ON threads (last_position) WHERE deleted_at IS NOT NULL;

-- 1 while the file is open with synchronous=NORMAL: found at a start, it means that the log may have lost its end.
ALTER TABLE meta ADD COLUMN relaxed INTEGER NOT NULL DEFAULT 0;

-- The edits and the deletion of a message: it is kept as long as an event that tells of it.
CREATE INDEX later_events ON events (message_position) WHERE message_position <> position;
CREATE INDEX ended_memberships ON memberships (until_position) WHERE until_position IS NOT NULL;
-- A user's threads, however often they have left and come back.
CREATE INDEX threads_of_users ON memberships (user_id, thread_num) WHERE until_position IS NULL;
-- What others have written: counted without a look at what one wrote oneself or what is deleted.
CREATE INDEX messages_by_author ON messages (thread_num, author, sequence) WHERE deleted_at IS NULL;
