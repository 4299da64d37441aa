-- People are found by the beginning of their id or name, in the order of the index and past nobody who is disabled: a search
-- reads as many rows as it answers, however many match.

DROP INDEX users_by_name;
CREATE INDEX people_by_name ON users (name_folded, user_id) WHERE disabled = 0;
CREATE INDEX people_by_id ON users (user_id) WHERE disabled = 0;
