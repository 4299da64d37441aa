//! Reads about accounts and logins: does a credential still hold, which logins has a user, what ended.

use rusqlite::{Connection, OptionalExtension, Result, Row, types::Type};
use uuid::Uuid;

use super::{
    super::LoginReads,
    accounts, logins,
    pool::Pool,
    rows::{self, ACCOUNT, ACCOUNT_COLUMNS, count, revocation, signed},
};
use crate::domain::{
    Account, BoxFuture, Credential, SessionId, SessionRecord, StoreError, Time, UserId,
    logins::{CredentialStatus, Login, Revocation, Revoked, SecretHash, Ticket},
};

/// Number of the last revocation of all that ever were: the newest may have been cleared away.
const LAST_ENDING: &str = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'endings'), 0)";

type Read<'a, T> = BoxFuture<'a, std::result::Result<T, StoreError>>;

impl LoginReads for Pool {
    fn account(&self, user: UserId) -> Read<'_, Option<Account>> {
        self.read(move |connection| accounts::find(connection, &user))
    }

    fn accounts(&self, after: Option<UserId>, limit: u64) -> Read<'_, Vec<Account>> {
        self.read(move |connection| {
            connection
                .prepare_cached(&format!("SELECT {ACCOUNT} FROM users u WHERE u.user_id > ?1 ORDER BY u.user_id LIMIT ?2"))?
                .query_map((after.as_ref().map_or("", |user| user.as_str()), signed(limit)), rows::account)?
                .collect()
        })
    }

    fn session(&self, key: SecretHash, now: Time) -> Read<'_, Option<SessionRecord>> {
        self.point(move |connection| session(connection, &key, now))
    }

    fn credential_status(&self, credential: Credential, now: Time) -> Read<'_, Option<CredentialStatus>> {
        self.point(move |connection| credential_status(connection, &credential, now))
    }

    fn logins(&self, user: UserId, now: Time) -> Read<'_, Vec<Login>> {
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT session_id, state, seen_at, expires_at FROM sessions
                     WHERE user_id = ?1 AND session_id IS NOT NULL AND expires_at > ?2 AND seen_at > ?3 ORDER BY seen_at DESC",
                )?
                .query_map((user.as_str(), now.0, logins::idle_before(now)), |row| {
                    let (session_id, state) = (SessionId(row.get(0)?), state(row, 1)?);
                    Ok(Login { session_id, state, seen_at: Time(row.get(2)?), expires_at: Time(row.get(3)?) })
                })?
                .collect()
        })
    }

    fn subject(&self, issuer: String, subject: String) -> Read<'_, Option<UserId>> {
        self.point(move |connection| accounts::linked(connection, &issuer, &subject))
    }

    fn is_linked(&self, user: UserId) -> Read<'_, bool> {
        self.point(move |connection| accounts::is_linked(connection, &user))
    }

    fn refresh_token(&self, hash: SecretHash) -> Read<'_, bool> {
        let found = "SELECT 1 FROM refresh_tokens WHERE token_hash = ?1";
        self.point(move |connection| connection.prepare_cached(found)?.exists([hash]))
    }

    fn ticket(&self, hash: SecretHash, now: Time) -> Read<'_, Option<Ticket>> {
        let found = "FROM tickets WHERE ticket_hash = ?1 AND expires_at > ?2";
        self.point(move |connection| logins::ticket(connection, "SELECT", found, &hash, now))
    }

    fn revocations(&self, after: u64, limit: u64) -> Read<'_, Vec<Revocation>> {
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT number, user_id, kind, ended_id FROM endings WHERE number > ?1 ORDER BY number LIMIT ?2",
                )?
                .query_map((signed(after), signed(limit)), |row| {
                    let what = match (row.get::<_, i64>(2)?, row.get::<_, Option<Uuid>>(3)?) {
                        (revocation::ONE, Some(id)) => Revoked::One(id),
                        (revocation::ACCOUNT, _) => Revoked::Account,
                        // A kind that a newer version wrote ends more rather than less.
                        _ => Revoked::Everything,
                    };
                    Ok(Revocation { number: count(row, 0)?, user: rows::user(row.get_ref(1)?.as_str()?)?, what })
                })?
                .collect()
        })
    }

    fn swept_at(&self) -> Read<'_, Option<Time>> {
        let last = "SELECT nullif(swept_at, 0) FROM meta";
        self.read(move |connection| connection.query_row(last, (), |row| Ok(row.get::<_, Option<i64>>(0)?.map(Time))))
    }

    fn last_ending(&self) -> Read<'_, u64> {
        let last = format!("SELECT {LAST_ENDING}");
        self.read(move |connection| connection.prepare_cached(&last)?.query_row((), |row| count(row, 0)))
    }
}

/// What there is to say about a credential.
pub(super) fn credential_status(
    connection: &Connection,
    credential: &Credential,
    now: Time,
) -> Result<Option<CredentialStatus>> {
    let Credential { user, session, family, .. } = credential;
    connection
        .prepare_cached(&format!(
            "SELECT {ACCOUNT}, u.not_before,
                 (SELECT s.seen_at FROM sessions s
                  WHERE s.session_id = ?2 AND s.user_id = u.user_id AND s.expires_at > ?4 AND s.seen_at > ?5),
                 ?3 IS NULL OR EXISTS (SELECT 1 FROM families f
                  WHERE f.family_id = ?3 AND f.user_id = u.user_id AND f.session_id IS ?2),
                 {LAST_ENDING}
             FROM users u WHERE u.user_id = ?1"
        ))?
        .query_row((user.as_str(), session.map(|id| id.0), family.map(|id| id.0), now.0, logins::idle_before(now)), |row| {
            Ok(CredentialStatus {
                account: rows::account(row)?,
                not_before: Time(row.get(ACCOUNT_COLUMNS)?),
                seen_at: row.get::<_, Option<i64>>(ACCOUNT_COLUMNS + 1)?.map(Time),
                family: row.get(ACCOUNT_COLUMNS + 2)?,
                revocations: count(row, ACCOUNT_COLUMNS + 3)?,
            })
        })
        .optional()
}

fn session(connection: &Connection, key: &SecretHash, now: Time) -> Result<Option<SessionRecord>> {
    connection
        .prepare_cached(
            "SELECT s.state, s.user_id, s.session_id, s.seen_at, s.expires_at FROM sessions s
             LEFT JOIN users u USING (user_id)
             WHERE s.key_hash = ?1 AND s.expires_at > ?2 AND s.seen_at > ?3 AND coalesce(u.disabled, 0) = 0",
        )?
        .query_row((key, now.0, logins::idle_before(now)), |row| {
            let state = state(row, 0)?;
            let user_id = row.get::<_, Option<String>>(1)?.map(|text| rows::user(&text)).transpose()?;
            let session_id = row.get::<_, Option<Uuid>>(2)?.map(SessionId);
            Ok(SessionRecord {
                state,
                user_id,
                session_id,
                login_epoch: None,
                moved: false,
                seen_at: Time(row.get(3)?),
                expires_at: Time(row.get(4)?),
            })
        })
        .optional()
}

fn state(row: &Row<'_>, column: usize) -> Result<Vec<(String, String)>> {
    serde_json::from_str(row.get_ref(column)?.as_str()?)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(e)))
}
