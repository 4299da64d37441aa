-- Who a provider of sign-ins says somebody is, and whose account that is here: one account each.

CREATE TABLE subjects (
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL UNIQUE REFERENCES users,
    PRIMARY KEY (issuer, subject)
) WITHOUT ROWID;
