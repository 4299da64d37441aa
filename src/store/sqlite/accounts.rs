//! Writes outside the log: accounts, sessions, one-time codes, the canary.

use rusqlite::{Connection, OptionalExtension};

use super::{
    super::{Done, Write},
    append::Outcome,
    rows,
};
use crate::{
    domain::{Account, SessionRecord, Time, logins::SecretHash},
    error::{Code, Error},
};

/// Sessions over their time that one write of a session clears away.
const SWEEP: i64 = 16;

pub(super) fn apply(tx: &Connection, write: &Write) -> Outcome {
    match write {
        Write::SaveSession { key, record } => save_session(tx, key, record)?,
        Write::TouchSession { key, at } => {
            tx.prepare_cached("UPDATE sessions SET seen_at = max(seen_at, ?2) WHERE key_hash = ?1")?.execute((key, at.0))?;
        }
        Write::EndSession { key } => {
            tx.prepare_cached("DELETE FROM sessions WHERE key_hash = ?1")?.execute([key])?;
        }
        Write::CreateAccount { account, at, keep } => return create_account(tx, account, *at, *keep),
        Write::SetPassword { user, hash } => {
            let sql = "UPDATE users SET password_hash = ?2 WHERE user_id = ?1";
            return change_account(tx, user.as_str(), sql, (user.as_str(), hash));
        }
        Write::Disable { user } => {
            return change_account(tx, user.as_str(), "UPDATE users SET disabled = 1 WHERE user_id = ?1", [user.as_str()]);
        }
        Write::PutLink { code, user, expires_at } => {
            tx.prepare_cached(
                "INSERT INTO links (user_id, code_hash, expires_at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (user_id) DO UPDATE SET code_hash = excluded.code_hash, expires_at = excluded.expires_at",
            )?
            .execute((user.as_str(), code, expires_at.0))?;
        }
        Write::ConsumeLink { code, at } => return consume_link(tx, code, *at),
        Write::Canary { at } => {
            tx.prepare_cached("UPDATE meta SET canary_at = ?1")?.execute([at.0])?;
        }
        Write::Change(_) => return Ok(Err(Error::from(Code::Internal))),
    }
    Ok(Ok(Done::Nothing))
}

fn save_session(tx: &Connection, key: &SecretHash, record: &SessionRecord) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO sessions (key_hash, user_id, session_id, state, seen_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (key_hash) DO UPDATE SET user_id = excluded.user_id, session_id = excluded.session_id,
         state = excluded.state, seen_at = excluded.seen_at, expires_at = excluded.expires_at",
    )?
    .execute((
        key,
        record.user_id.as_ref().map(|u| u.as_str()),
        record.session_id.map(|s| s.0),
        serde_json::to_string(&record.state).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?,
        record.seen_at.0,
        record.expires_at.0,
    ))?;
    tx.prepare_cached(
        "DELETE FROM sessions WHERE key_hash IN (SELECT key_hash FROM sessions WHERE expires_at <= ?1 LIMIT ?2)",
    )?
    .execute((record.seen_at.0, SWEEP))?;
    Ok(())
}

fn create_account(tx: &Connection, account: &Account, at: Time, keep: bool) -> Outcome {
    let permissions: Vec<_> = account.permissions.iter().map(|p| p.name()).collect();
    let made = tx
        .prepare_cached(
            "INSERT INTO users (user_id, name, name_folded, email, tier, permissions, password_hash, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
        )?
        .execute((
            account.user_id.as_str(),
            &account.name,
            account.name.to_lowercase(),
            &account.email,
            &account.tier,
            permissions.join(" "),
            &account.password_hash,
            at.0,
        ))?;
    if made == 0 && !keep {
        return Ok(Err(Error::field("name", format!("there is already a user `{}`", account.user_id))));
    }
    Ok(Ok(Done::Nothing))
}

/// Changes an account and ends its sessions, which were opened under the old terms.
fn change_account(tx: &Connection, user: &str, sql: &str, values: impl rusqlite::Params) -> Outcome {
    if tx.prepare_cached(sql)?.execute(values)? == 0 {
        return Ok(Err(Error::new(Code::NotFound, format!("There is no user `{user}`."))));
    }
    tx.prepare_cached("DELETE FROM sessions WHERE user_id = ?1")?.execute([user])?;
    Ok(Ok(Done::Nothing))
}

fn consume_link(tx: &Connection, code: &SecretHash, at: Time) -> Outcome {
    let user: Option<String> = tx
        .prepare_cached("DELETE FROM links WHERE code_hash = ?1 AND expires_at > ?2 RETURNING user_id")?
        .query_row((code, at.0), |row| row.get(0))
        .optional()?;
    Ok(Ok(Done::Link(user.map(|user| rows::user(&user)).transpose()?)))
}
