//! Accounts, passwords, permissions, one-time codes.

use rusqlite::{Connection, OptionalExtension, Params, Result};

use super::{
    clock, logins,
    rows::{self, ACCOUNT},
};
use crate::domain::{
    Account, Permission, Time, UserId, folded_name,
    logins::{LoginDone, Revoked, SecretHash, Subject},
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
            folded_name(&account.name),
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

/// From now on what was proven before opens no new login; the epoch that does.
pub(super) fn next_epoch(tx: &Connection, user: &UserId) -> Result<u64> {
    let sql = "UPDATE users SET login_epoch = login_epoch + 1 WHERE user_id = ?1 RETURNING login_epoch";
    tx.prepare_cached(sql)?.query_row([user.as_str()], |row| rows::count(row, 0))
}

/// Whether what was proven in this epoch still opens a new login.
pub(super) fn in_time(tx: &Connection, user: &UserId, login_epoch: u64) -> Result<bool> {
    let sql = "SELECT disabled = 0 AND login_epoch = ?2 FROM users WHERE user_id = ?1";
    let in_time =
        tx.prepare_cached(sql)?.query_row((user.as_str(), rows::signed(login_epoch)), |row| row.get(0)).optional()?;
    Ok(in_time.unwrap_or(false))
}

/// Signs a user out everywhere, with every token that was let in until now.
pub(super) fn revoke(tx: &Connection, user: &UserId, at: Time) -> Result<LoginDone> {
    let (latest, sql) = (clock::latest(tx, at)?, "UPDATE users SET not_before = max(not_before, ?2) WHERE user_id = ?1");
    change(tx, sql, (user.as_str(), latest.0), || logins::end_all(tx, user, Revoked::Everything, at))
}

pub(super) fn set_disabled(tx: &Connection, user: &UserId, disabled: bool, at: Time) -> Result<LoginDone> {
    if !disabled {
        return change(tx, "UPDATE users SET disabled = 0 WHERE user_id = ?1", [user.as_str()], || Ok(LoginDone::Done));
    }
    let sql = "UPDATE users SET disabled = 1, not_before = max(not_before, ?2) WHERE user_id = ?1";
    change(tx, sql, (user.as_str(), clock::latest(tx, at)?.0), || logins::end_all(tx, user, Revoked::Account, at))
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

/// Whose account a subject is linked to.
pub(super) fn linked(connection: &Connection, issuer: &str, subject: &str) -> Result<Option<UserId>> {
    connection
        .prepare_cached("SELECT user_id FROM subjects WHERE issuer = ?1 AND subject = ?2")?
        .query_row((issuer, subject), |row| rows::user(row.get_ref(0)?.as_str()?))
        .optional()
}

/// Whether an account is linked to a subject.
pub(super) fn is_linked(connection: &Connection, user: &UserId) -> Result<bool> {
    connection.prepare_cached("SELECT 1 FROM subjects WHERE user_id = ?1")?.exists([user.as_str()])
}

/// The account of this user id.
pub(super) fn find(connection: &Connection, user: &UserId) -> Result<Option<Account>> {
    let sql = format!("SELECT {ACCOUNT} FROM users u WHERE u.user_id = ?1");
    connection.prepare_cached(&sql)?.query_row([user.as_str()], rows::account).optional()
}

/// The user id of a subject's account: the linked one, else the first that it may have. The account of another subject is never
/// chosen, whatever it is called. A user id made of a hash must be new: without a link its account was made for a `sub` of that name.
pub(super) fn choose(tx: &Connection, subject: &Subject) -> Result<Option<UserId>> {
    if let Some(user) = linked(tx, &subject.issuer, &subject.subject)? {
        return Ok(Some(user));
    }
    for user in &subject.user_ids {
        let plain = user.as_str().split_once(':').is_none_or(|(_, name)| name == subject.subject);
        if !is_linked(tx, user)? && (plain || find(tx, user)?.is_none()) {
            return Ok(Some(user.clone()));
        }
    }
    Ok(None)
}

/// Links a subject to its chosen account, which is made if it is not there, and stores the name and e-mail that the provider tells.
pub(super) fn link(tx: &Connection, subject: &Subject, user: &UserId, at: Time) -> Result<Account> {
    let name = subject.name.clone().unwrap_or_else(|| user.to_string());
    create(tx, &Account { email: subject.email.clone(), ..Account::new(user.clone(), name) }, at, true)?;
    tx.prepare_cached(
        "INSERT INTO subjects (issuer, subject, user_id) VALUES (?1, ?2, ?3) ON CONFLICT (issuer, subject) DO NOTHING",
    )?
    .execute((&subject.issuer, &subject.subject, user.as_str()))?;
    // `RETURNING` knows no alias.
    let columns = ACCOUNT.replace("u.", "");
    tx.prepare_cached(&format!(
        "UPDATE users SET name = coalesce(?2, name), name_folded = coalesce(?3, name_folded), email = coalesce(?4, email)
         WHERE user_id = ?1 RETURNING {columns}"
    ))?
    .query_row((user.as_str(), &subject.name, subject.name.as_deref().map(folded_name), &subject.email), rows::account)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(issuer: &str, subject: &str, user_ids: &[&str]) -> Subject {
        let user_ids = user_ids.iter().map(|id| UserId::parse(id).expect("a user id")).collect();
        Subject { issuer: issuer.into(), subject: subject.into(), user_ids, name: None, email: None }
    }

    #[test]
    fn a_subject_keeps_its_account_and_nobody_elses_is_ever_taken_for_it() {
        let mut connection = Connection::open_in_memory().expect("a database");
        super::super::migrate(&mut connection).expect("migrations");
        let link = |subject: Subject| {
            let user = choose(&connection, &subject).expect("a store")?;
            Some(link(&connection, &subject, &user, Time(1)).expect("a store").user_id.to_string())
        };
        let named = |name: &str| Subject {
            name: Some(name.into()),
            email: Some("a@x".into()),
            ..subject("one", "anna", &["p:anna"])
        };
        let row = || {
            let sql = "SELECT name, name_folded, email FROM users WHERE user_id = 'p:anna'";
            connection.query_row(sql, (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("a row")
        };
        let told = |name: &str, folded: &str| (name.to_owned(), folded.to_owned(), Some("a@x".to_owned()));
        assert_eq!(link(named("Anna")).as_deref(), Some("p:anna"));
        assert_eq!(row(), told("Anna", "anna"));
        assert_eq!(link(named("Anna B")).as_deref(), Some("p:anna"));
        assert_eq!(row(), told("Anna B", "anna b"));
        assert_eq!(link(subject("one", "anna", &["p:other"])).as_deref(), Some("p:anna"), "the link wins over any name");
        assert_eq!(row(), told("Anna B", "anna b"), "what is not told now stays");
        assert_eq!(link(subject("two", "anna", &["p:anna", "p:hash"])).as_deref(), Some("p:hash"), "another issuer's");
        assert_eq!(link(subject("three", "x", &["p:anna", "p:hash"])), None);
        let before = Account { user_id: UserId::parse("p:token").expect("a user id"), ..account() };
        create(&connection, &before, Time(1), false).expect("an account");
        assert_eq!(link(subject("one", "token", &["p:token"])).as_deref(), Some("p:token"), "made by a bearer token");
        assert_eq!(link(subject("one", "a b", &["p:made"])).as_deref(), Some("p:made"), "made of a hash, and new");
        let before = Account { user_id: UserId::parse("p:used").expect("a user id"), ..account() };
        create(&connection, &before, Time(1), false).expect("an account");
        assert_eq!(link(subject("one", "b c", &["p:used"])), None, "the account of a `sub` that is this hash");
    }

    fn account() -> Account {
        Account::new(UserId::parse("x").expect("a user id"), "X")
    }

    #[test]
    fn a_migration_folds_the_names_that_an_older_version_wrote() {
        let mut connection = Connection::open_in_memory().expect("a database");
        super::super::migrate(&mut connection).expect("migrations");
        let account = Account { name: "Ren\u{e9}e".into(), ..account() };
        create(&connection, &account, Time(1), false).expect("an account");
        let folded = |connection: &Connection| {
            connection.query_row("SELECT name_folded FROM users", (), |row| row.get::<_, String>(0)).expect("a row")
        };
        let new = folded(&connection);
        let older = "UPDATE users SET name_folded = 'ren\u{e9}e'";
        connection.execute_batch(older).expect("the state of an older version");
        // Later migrations are there already, so this one alone is run.
        connection.execute_batch(include_str!("../migrations/V7__folded_names.sql")).expect("the migration");
        assert_eq!((folded(&connection), new.as_str()), ("rene\u{301}e".to_owned(), "rene\u{301}e"));
    }
}
