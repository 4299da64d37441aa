//! Logins and everything that descends from them: sessions, families of refresh tokens, tickets, and their revocations.

use rusqlite::{Connection, OptionalExtension, Params, Result, params};
use uuid::Uuid;

use super::{accounts, clock, credential_status, rows};
use crate::domain::{
    Credential, FamilyId, LoginAct, LoginDone, SessionId, SessionRecord, Time, UserId,
    logins::{
        FAMILIES_MAX, REVOCATIONS_KEPT, ROTATIONS_KEPT, Refreshed, Revoked, SESSION_IDLE, SESSIONS_MAX, SecretHash, Subject,
        Ticket,
    },
};

/// Rows of each kind that one sweep clears away.
const SWEEP: u64 = 256;

pub(super) fn apply(tx: &Connection, act: &LoginAct) -> Result<LoginDone> {
    match act {
        LoginAct::SaveSession { key, record } => save_session(tx, key, record),
        LoginAct::TouchSession { key, at } => {
            run(tx, "UPDATE sessions SET seen_at = max(seen_at, ?2) WHERE key_hash = ?1", (key, at.0))
        }
        LoginAct::TouchLogin { session, at } => {
            run(tx, "UPDATE sessions SET seen_at = max(seen_at, ?2) WHERE session_id = ?1", (session.0, at.0))
        }
        LoginAct::EndSession { key, at } => end_sessions(tx, "key_hash = ?1", [key], *at),
        LoginAct::EndLogin { user, session, at } => {
            end_sessions(tx, "session_id = ?1 AND user_id = ?2", (session.0, user.as_str()), *at)
        }
        LoginAct::CreateAccount { account, at, keep } => accounts::create(tx, account, *at, *keep),
        LoginAct::LinkSubject { subject, after, at } => link(tx, subject, *after, *at),
        LoginAct::SetPassword { user, hash, keep, at } => set_password(tx, user, hash, *keep, *at),
        LoginAct::ChangePermissions { user, give, take } => accounts::change_permissions(tx, user, give, take),
        LoginAct::Revoke { user, at } => accounts::revoke(tx, user, *at),
        LoginAct::SetDisabled { user, disabled, at } => accounts::set_disabled(tx, user, *disabled, *at),
        LoginAct::PutLink { code, user, expires_at } => accounts::put_link(tx, code, user, *expires_at),
        LoginAct::TakeLink { code, at } => accounts::take_link(tx, code, *at),
        LoginAct::NewFamily { family, user, session, token, expires_at, at } => {
            new_family(tx, *family, user, *session, token, *expires_at, *at)
        }
        LoginAct::Refresh { token, next, at } => refresh(tx, token, next, *at).map(LoginDone::Refreshed),
        LoginAct::PutTicket { hash, ticket } => put_ticket(tx, hash, ticket),
        LoginAct::TakeTicket { hash, at } => {
            let taken = "DELETE FROM tickets WHERE ticket_hash = ?1 AND expires_at > ?2 RETURNING";
            ticket(tx, taken, "", hash, *at).map(LoginDone::Ticket)
        }
        LoginAct::Sweep { at, known, clock } => {
            clock::note(tx, *clock)?;
            clock::swept(tx, *known)?;
            sweep(tx, *at, *clock)
        }
    }
}

fn run(tx: &Connection, sql: &str, values: impl Params) -> Result<LoginDone> {
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(LoginDone::Done)
}

/// The account of a subject that began to sign in when revocation number `after` was the last one.
fn link(tx: &Connection, subject: &Subject, after: u64, at: Time) -> Result<LoginDone> {
    let Some(user) = accounts::choose(tx, subject)? else { return Ok(LoginDone::Linked(None)) };
    // Before anything is written: a change that is refused stores nothing.
    let sql = "SELECT 1 FROM endings WHERE number > ?1 AND user_id = ?2 AND kind <> ?3";
    let ended = (rows::signed(after), user.as_str(), rows::revocation::ONE);
    if tx.prepare_cached(sql)?.exists(ended)? {
        return Ok(LoginDone::TooLate);
    }
    if let Some(disabled) = accounts::find(tx, &user)?.filter(|account| account.disabled) {
        return Ok(LoginDone::Linked(Some(Box::new(disabled))));
    }
    Ok(LoginDone::Linked(Some(Box::new(accounts::link(tx, subject, &user, at)?))))
}

/// The time before which a login that was last used then is idle for too long.
pub(super) fn idle_before(now: Time) -> i64 {
    now.0.saturating_sub(i64::try_from(SESSION_IDLE.as_millis()).unwrap_or(0))
}

fn save_session(tx: &Connection, key: &SecretHash, record: &SessionRecord) -> Result<LoginDone> {
    let now = record.seen_at;
    if let (Some(user), Some(login_epoch)) = (&record.user_id, record.login_epoch) {
        let old = "SELECT 1 FROM sessions WHERE key_hash = ?1";
        if !tx.prepare_cached(old)?.exists([key])? && !accounts::in_time(tx, user, login_epoch)? {
            return Ok(LoginDone::TooLate);
        }
    }
    if record.moved {
        let before = "DELETE FROM sessions WHERE session_id = ?1 AND user_id = ?2";
        let before = (record.session_id.map(|id| id.0), record.user_id.as_ref().map(|user| user.as_str()), before);
        if tx.prepare_cached(before.2)?.execute((before.0, before.1))? == 0 {
            // It has ended since.
            return Ok(LoginDone::TooLate);
        }
    }
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
        now.0,
        record.expires_at.0,
    ))?;
    if let Some(user) = &record.user_id {
        let surplus =
            "key_hash IN (SELECT key_hash FROM sessions WHERE user_id = ?1 ORDER BY seen_at DESC LIMIT -1 OFFSET ?2)";
        end_sessions(tx, surplus, (user.as_str(), SESSIONS_MAX), now)?;
    }
    Ok(LoginDone::Done)
}

/// Clears away what is over its time; logins that nobody used for too long end, and their connections with them.
fn sweep(tx: &Connection, at: Time, clock: Time) -> Result<LoginDone> {
    let mut most = 0;
    for (column, edge) in [("expires_at", at.0), ("seen_at", idle_before(at))] {
        let over = format!("key_hash IN (SELECT key_hash FROM sessions WHERE {column} <= ?1 LIMIT ?2)");
        let before = tx.total_changes();
        end_sessions(tx, &over, (edge, rows::signed(SWEEP)), at)?;
        most = most.max(tx.total_changes() - before);
    }
    let kept = at.0.saturating_sub(i64::try_from(REVOCATIONS_KEPT.as_millis()).unwrap_or(0));
    for (table, key, column, edge) in [
        ("families", "family_id", "expires_at", at.0),
        ("tickets", "ticket_hash", "expires_at", clock.0),
        ("endings", "number", "at", kept),
    ] {
        let over = format!("DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {column} <= ?1 LIMIT ?2)");
        most = most.max(tx.prepare_cached(&over)?.execute((edge, rows::signed(SWEEP)))? as u64);
    }
    Ok(LoginDone::Swept { more: most >= SWEEP })
}

/// Ends the sessions that fit, with what descends from them, and notes each end.
fn end_sessions(tx: &Connection, which: &str, values: impl Params, at: Time) -> Result<LoginDone> {
    let sql = format!("DELETE FROM sessions WHERE {which} RETURNING user_id, session_id");
    let mut statement = tx.prepare_cached(&sql)?;
    let gone = statement.query_map(values, |row| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<Uuid>>(1)?)))?;
    let gone: Vec<_> = gone.collect::<Result<_>>()?;
    let mut sessions = 0;
    for (user, session) in gone.into_iter().filter_map(|(user, session)| Some((user?, session?))) {
        sessions += 1;
        tx.prepare_cached("DELETE FROM families WHERE session_id = ?1")?.execute([session])?;
        tx.prepare_cached("DELETE FROM tickets WHERE user_id = ?1 AND session_id = ?2")?.execute((&user, session))?;
        note(tx, &user, Revoked::One(session), at)?;
    }
    Ok(LoginDone::Ended { sessions })
}

/// Ends all there is of a user.
pub(super) fn end_all(tx: &Connection, user: &UserId, what: Revoked, at: Time) -> Result<LoginDone> {
    accounts::next_epoch(tx, user)?;
    let user = user.as_str();
    let sessions = tx.prepare_cached("DELETE FROM sessions WHERE user_id = ?1")?.execute([user])?;
    for table in ["families", "tickets"] {
        tx.prepare_cached(&format!("DELETE FROM {table} WHERE user_id = ?1"))?.execute([user])?;
    }
    note(tx, user, what, at)?;
    Ok(LoginDone::Ended { sessions: sessions as u64 })
}

fn note(tx: &Connection, user: &str, what: Revoked, at: Time) -> Result<()> {
    let (kind, id) = match what {
        Revoked::One(id) => (rows::revocation::ONE, Some(id)),
        Revoked::Everything => (rows::revocation::EVERYTHING, None),
        Revoked::Account => (rows::revocation::ACCOUNT, None),
    };
    tx.prepare_cached("INSERT INTO endings (user_id, kind, ended_id, at) VALUES (?1, ?2, ?3, ?4)")?
        .execute((user, kind, id, at.0))?;
    Ok(())
}

fn set_password(tx: &Connection, user: &UserId, hash: &str, keep: Option<SessionId>, at: Time) -> Result<LoginDone> {
    // A login that has ended since it asked changes nothing: it may have been ended by another password.
    let sql = "UPDATE users SET password_hash = ?2 WHERE user_id = ?1
               AND (?3 IS NULL OR EXISTS (SELECT 1 FROM sessions WHERE session_id = ?3 AND user_id = ?1))";
    accounts::change(tx, sql, (user.as_str(), hash, keep.map(|id| id.0)), || match keep {
        None => accounts::revoke(tx, user, at),
        Some(keep) => {
            end_sessions(tx, "user_id = ?1 AND session_id IS NOT ?2", (user.as_str(), keep.0), at)?;
            end_families(tx, "session_id = ?1", [keep.0], at)?;
            tx.prepare_cached("DELETE FROM tickets WHERE user_id = ?1")?.execute([user.as_str()])?;
            // The old key opens nothing from now on. The row stays the login's, under a key that nobody has, until the login is saved
            // under its next one: if that fails, whatever ends the login still finds it and closes its connections.
            tx.prepare_cached("UPDATE sessions SET key_hash = randomblob(32), state = '[]' WHERE session_id = ?1")?
                .execute([keep.0])?;
            Ok(LoginDone::PasswordSet { login_epoch: accounts::next_epoch(tx, user)? })
        }
    })
}

fn new_family(
    tx: &Connection,
    family: FamilyId,
    user: &UserId,
    session: SessionId,
    token: &SecretHash,
    expires_at: Time,
    at: Time,
) -> Result<LoginDone> {
    tx.prepare_cached("INSERT INTO families (family_id, user_id, session_id, expires_at) VALUES (?1, ?2, ?3, ?4)")?
        .execute((family.0, user.as_str(), session.0, expires_at.0))?;
    // Their ids sort by time: the oldest go.
    let surplus =
        "family_id IN (SELECT family_id FROM families WHERE session_id = ?1 ORDER BY family_id DESC LIMIT -1 OFFSET ?2)";
    end_families(tx, surplus, (session.0, FAMILIES_MAX), at)?;
    run(tx, "INSERT INTO refresh_tokens (token_hash, family_id) VALUES (?1, ?2)", (token, family.0))
}

/// Ends the families that fit, and notes each end.
fn end_families(tx: &Connection, which: &str, values: impl Params, at: Time) -> Result<()> {
    let mut statement = tx.prepare_cached(&format!("DELETE FROM families WHERE {which} RETURNING user_id, family_id"))?;
    let gone = statement.query_map(values, |row| Ok((row.get::<_, String>(0)?, row.get::<_, Uuid>(1)?)))?;
    for ended in gone.collect::<Result<Vec<_>>>()? {
        tx.prepare_cached("DELETE FROM tickets WHERE user_id = ?1 AND family_id = ?2")?.execute((&ended.0, ended.1))?;
        note(tx, &ended.0, Revoked::One(ended.1), at)?;
    }
    Ok(())
}

fn refresh(tx: &Connection, token: &SecretHash, next: &SecretHash, at: Time) -> Result<Refreshed> {
    let found = tx
        .prepare_cached(
            "SELECT r.used, f.family_id, f.user_id, f.session_id, f.expires_at
             FROM refresh_tokens r JOIN families f USING (family_id) WHERE r.token_hash = ?1",
        )?
        .query_row([token], |row| {
            let (family, session) = (Some(FamilyId(row.get(1)?)), Some(SessionId(row.get(3)?)));
            let credential = Credential { session, family, ..Credential::of(rows::user(row.get_ref(2)?.as_str()?)?) };
            Ok((row.get::<_, bool>(0)?, row.get::<_, Uuid>(1)?, credential, Time(row.get(4)?)))
        })
        .optional()?;
    let Some((was_used, family, credential, expires_at)) = found else { return Ok(Refreshed::Unknown) };
    if was_used {
        end_families(tx, "family_id = ?1", [family], at)?;
        return Ok(Refreshed::Reused);
    }
    // Read here, and not after the commit: a token that was used up for nothing could not be used again.
    let status =
        credential_status::credential_status(tx, &credential, at)?.filter(|status| status.judge(&credential).is_ok());
    let Some(status) = status.filter(|_| expires_at > at) else { return Ok(Refreshed::Unknown) };
    let number: u32 = tx
        .prepare_cached("UPDATE families SET rotations = rotations + 1 WHERE family_id = ?1 RETURNING rotations")?
        .query_row([family], |row| row.get(0))?;
    tx.prepare_cached("UPDATE refresh_tokens SET used = 1 WHERE token_hash = ?1")?.execute([token])?;
    let insert = "INSERT INTO refresh_tokens (token_hash, family_id, number) VALUES (?1, ?2, ?3)";
    tx.prepare_cached(insert)?.execute((next, family, number))?;
    tx.prepare_cached("DELETE FROM refresh_tokens WHERE family_id = ?1 AND number < ?2")?
        .execute((family, number.saturating_sub(ROTATIONS_KEPT)))?;
    Ok(Refreshed::Next { credential, status: Box::new(status), expires_at })
}

fn put_ticket(tx: &Connection, hash: &SecretHash, ticket: &Ticket) -> Result<LoginDone> {
    let Ticket { credential, permissions, tier, context_expires_at, expires_at } = ticket;
    run(
        tx,
        "INSERT INTO tickets (ticket_hash, user_id, session_id, family_id, issued_at, permissions, tier, context_expires_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            hash,
            credential.user.as_str(),
            credential.session.map(|id| id.0),
            credential.family.map(|id| id.0),
            credential.issued_at.map(|at| at.0),
            rows::permission_text(permissions),
            tier,
            context_expires_at.0,
            expires_at.0,
        ],
    )
}

/// A ticket by a statement that ends where the columns begin; what follows them is its end.
pub(super) fn ticket(tx: &Connection, from: &str, to: &str, hash: &SecretHash, at: Time) -> Result<Option<Ticket>> {
    const COLUMNS: &str = "user_id, session_id, family_id, issued_at, permissions, tier, context_expires_at, expires_at";
    tx.prepare_cached(&format!("{from} {COLUMNS} {to}"))?
        .query_row((hash, at.0), |row| {
            let credential = Credential {
                user: rows::user(row.get_ref(0)?.as_str()?)?,
                session: row.get::<_, Option<Uuid>>(1)?.map(SessionId),
                family: row.get::<_, Option<Uuid>>(2)?.map(FamilyId),
                issued_at: row.get::<_, Option<i64>>(3)?.map(Time),
            };
            Ok(Ticket {
                credential,
                permissions: rows::permissions(row.get_ref(4)?.as_str()?),
                tier: row.get(5)?,
                context_expires_at: Time(row.get(6)?),
                expires_at: Time(row.get(7)?),
            })
        })
        .optional()
}

#[cfg(test)]
#[path = "logins_tests.rs"]
mod tests;
