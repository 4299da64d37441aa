//! Accounts, passwords, permissions, one-time codes.

use rusqlite::{Connection, OptionalExtension, Params, Result};

use super::{logins, rows};
use crate::domain::{
    Account, Permission, Time, UserId,
    logins::{Ended, LoginDone, SecretHash},
};

pub(super) fn create(tx: &Connection, account: &Account, at: Time, keep: bool) -> Result<LoginDone> {
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
            rows::permission_text(&account.permissions),
            &account.password_hash,
            at.0,
        ))?;
    Ok(if made == 0 && !keep { LoginDone::NameTaken } else { LoginDone::Done })
}

/// Changes one account; nothing else happens if it is not there.
pub(super) fn change(
    tx: &Connection,
    sql: &str,
    values: impl Params,
    then: impl FnOnce() -> Result<LoginDone>,
) -> Result<LoginDone> {
    if tx.prepare_cached(sql)?.execute(values)? == 0 { Ok(LoginDone::NoSuchUser) } else { then() }
}

pub(super) fn change_permissions(
    tx: &Connection,
    user: &UserId,
    give: &[Permission],
    take: &[Permission],
) -> Result<LoginDone> {
    let held: Option<String> = tx
        .prepare_cached("SELECT permissions FROM users WHERE user_id = ?1")?
        .query_row([user.as_str()], |row| row.get(0))
        .optional()?;
    let Some(held) = held else { return Ok(LoginDone::NoSuchUser) };
    let mut permissions = rows::permissions(&held);
    permissions.extend(give);
    permissions.retain(|permission| !take.contains(permission));
    permissions.sort();
    permissions.dedup();
    tx.prepare_cached("UPDATE users SET permissions = ?2 WHERE user_id = ?1")?
        .execute((user.as_str(), rows::permission_text(&permissions)))?;
    Ok(LoginDone::Permissions(permissions))
}

/// From now on a login that began before is too late.
pub(super) fn no_login_before(tx: &Connection, user: &UserId, at: Time) -> Result<()> {
    let sql = "UPDATE users SET logins_after = max(logins_after, ?2) WHERE user_id = ?1";
    tx.prepare_cached(sql)?.execute((user.as_str(), at.0)).map(drop)
}

/// Whether a login that began then still rests on what it looked at.
pub(super) fn in_time(tx: &Connection, user: &UserId, began_at: Time) -> Result<bool> {
    let sql = "SELECT disabled = 0 AND logins_after <= ?2 FROM users WHERE user_id = ?1";
    let in_time = tx.prepare_cached(sql)?.query_row((user.as_str(), began_at.0), |row| row.get(0)).optional()?;
    Ok(in_time.unwrap_or(false))
}

/// Signs a user out everywhere. What was signed until now, in this very second too, is revoked.
pub(super) fn revoke(tx: &Connection, user: &UserId, at: Time) -> Result<LoginDone> {
    let sql = "UPDATE users SET not_before = max(not_before, ?2) WHERE user_id = ?1";
    change(tx, sql, (user.as_str(), at.0), || logins::end_all(tx, user, Ended::Everything, at))
}

pub(super) fn set_disabled(tx: &Connection, user: &UserId, disabled: bool, at: Time) -> Result<LoginDone> {
    if !disabled {
        return change(tx, "UPDATE users SET disabled = 0 WHERE user_id = ?1", [user.as_str()], || Ok(LoginDone::Done));
    }
    let sql = "UPDATE users SET disabled = 1, not_before = max(not_before, ?2) WHERE user_id = ?1";
    change(tx, sql, (user.as_str(), at.0), || logins::end_all(tx, user, Ended::Account, at))
}

pub(super) fn put_link(tx: &Connection, code: &SecretHash, user: &UserId, expires_at: Time) -> Result<LoginDone> {
    tx.prepare_cached(
        "INSERT INTO links (user_id, code_hash, expires_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (user_id) DO UPDATE SET code_hash = excluded.code_hash, expires_at = excluded.expires_at",
    )?
    .execute((user.as_str(), code, expires_at.0))?;
    Ok(LoginDone::Done)
}

pub(super) fn take_link(tx: &Connection, code: &SecretHash, at: Time) -> Result<LoginDone> {
    let user: Option<String> = tx
        .prepare_cached("DELETE FROM links WHERE code_hash = ?1 AND expires_at > ?2 RETURNING user_id")?
        .query_row((code, at.0), |row| row.get(0))
        .optional()?;
    Ok(LoginDone::Link(user.map(|user| rows::user(&user)).transpose()?))
}
