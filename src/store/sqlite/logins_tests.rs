//! Logins and what descends from them, on a store in memory: what ends with what, and what is too late.

use std::time::Duration;

use super::{super::Sqlite, *};
use crate::{
    domain::{Account, LEEWAY, Limits, Permission},
    store::{Done, Log, LoginReads, Write},
};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn alice() -> UserId {
    UserId::parse("alice").expect("a user id")
}

fn store() -> Sqlite {
    let mut store = Sqlite::in_memory(&Limits::default()).expect("a store");
    let account = Account::new(alice(), "Alice");
    assert_eq!(act(&mut store, LoginAct::CreateAccount { account, at: Time(0), keep: false }), LoginDone::Done);
    store
}

fn act(store: &mut Sqlite, act: LoginAct) -> LoginDone {
    let committed = store.log.commit(&[Write::Login(Box::new(act))]).expect("a commit");
    match committed.outcomes.into_iter().next() {
        Some(Ok(Done::Login(done))) => done,
        other => panic!("{other:?}"),
    }
}

/// A sweep by this time, while the clock shows another.
fn clear(store: &mut Sqlite, at: Time, clock: Time) {
    assert_eq!(act(store, LoginAct::Sweep { at, known: at, clock }), LoginDone::Swept { more: false });
}

/// A login under the key `[n; 32]`, last used at this time.
fn sign_in(store: &mut Sqlite, n: u8, seen_at: Time) -> SessionId {
    let (done, session) = save(store, n, None, seen_at);
    assert_eq!(done, LoginDone::Done);
    session
}

/// A session of alice, proven in this login epoch.
fn save(store: &mut Sqlite, n: u8, login_epoch: Option<u64>, seen_at: Time) -> (LoginDone, SessionId) {
    let session_id = SessionId::new();
    let record = SessionRecord {
        state: Vec::new(),
        user_id: Some(alice()),
        session_id: Some(session_id),
        login_epoch,
        moved: false,
        seen_at,
        expires_at: seen_at.plus(48 * HOUR),
    };
    (act(store, LoginAct::SaveSession { key: [n; 32], record }), session_id)
}

fn family(store: &mut Sqlite, session: SessionId, token: u8) -> FamilyId {
    let (family, user, expires_at) = (FamilyId::new(), alice(), Time(i64::MAX));
    act(store, LoginAct::NewFamily { family, user, session, token: [token; 32], expires_at, at: Time(0) });
    family
}

fn refresh(store: &mut Sqlite, token: [u8; 32], next: [u8; 32]) -> Refreshed {
    match act(store, LoginAct::Refresh { token, next, at: Time(1) }) {
        LoginDone::Refreshed(refreshed) => refreshed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_login_that_was_proven_before_the_password_was_changed_or_everything_revoked_is_too_late() {
    let changes: [fn(Time) -> LoginAct; 3] = [
        |at| LoginAct::SetPassword { user: alice(), hash: String::new(), keep: None, at },
        |at| LoginAct::Revoke { user: alice(), at },
        |at| LoginAct::SetDisabled { user: alice(), disabled: true, at },
    ];
    for change in changes {
        let mut store = store();
        act(&mut store, change(Time(100)));
        assert_eq!(save(&mut store, 1, Some(0), Time(101)).0, LoginDone::TooLate);
    }
    let mut store = store();
    act(&mut store, LoginAct::Revoke { user: alice(), at: Time(100) });
    assert_eq!(save(&mut store, 1, Some(1), Time(100)).0, LoginDone::Done, "who signs in again at once may");
}

#[test]
fn a_login_that_changes_the_password_goes_on_under_another_key_without_what_descended_from_it() {
    let mut store = store();
    let kept = sign_in(&mut store, 1, Time(0));
    let other = sign_in(&mut store, 2, Time(0));
    family(&mut store, kept, 1);
    let change = LoginAct::SetPassword { user: alice(), hash: "new".to_owned(), keep: Some(kept), at: Time(1) };
    assert_eq!(act(&mut store, change), LoginDone::PasswordSet { login_epoch: 1 });
    assert_eq!(refresh(&mut store, [1; 32], [2; 32]), Refreshed::Unknown);
    // The old key's end, as the session layer tells it, is nobody's end.
    assert_eq!(act(&mut store, LoginAct::EndSession { key: [1; 32], at: Time(1) }), LoginDone::Ended { sessions: 0 });
    let again = |store: &mut Sqlite, login_epoch| {
        let (user_id, session_id, login_epoch) = (Some(alice()), Some(kept), Some(login_epoch));
        let (state, expires_at) = (Vec::new(), Time(i64::MAX));
        let record = SessionRecord { state, user_id, session_id, login_epoch, moved: true, seen_at: Time(1), expires_at };
        act(store, LoginAct::SaveSession { key: [9; 32], record })
    };
    assert_eq!(again(&mut store, 1), LoginDone::Done);
    let change = LoginAct::SetPassword { user: alice(), hash: "another".to_owned(), keep: Some(kept), at: Time(1) };
    assert_eq!(act(&mut store, change), LoginDone::PasswordSet { login_epoch: 2 });
    // The session could not be saved: its connections are still there, and what ends the login finds it.
    let end = LoginAct::EndLogin { user: alice(), session: kept, at: Time(2) };
    assert_eq!(act(&mut store, end), LoginDone::Ended { sessions: 1 });
    assert_eq!(again(&mut store, 2), LoginDone::TooLate, "it was ended before it was saved");
    let again = LoginAct::SetPassword { user: alice(), hash: "newer".to_owned(), keep: Some(other), at: Time(2) };
    assert_eq!(act(&mut store, again), LoginDone::NoSuchUser, "the other login has ended");
}

#[actix_web::test]
async fn a_login_that_nobody_uses_for_a_day_ends_with_what_descends_from_it_and_every_node_can_read_it() {
    let mut store = store();
    let now = Time(0).plus(25 * HOUR);
    let idle = sign_in(&mut store, 1, Time(0));
    let used = sign_in(&mut store, 2, Time(0).plus(2 * HOUR));
    let (dead, alive) = (family(&mut store, idle, 1), family(&mut store, used, 2));
    clear(&mut store, now, now);
    let revocations = store.reads.revocations(0, 10).await.expect("revocations");
    assert_eq!(revocations.iter().map(|revocation| revocation.what).collect::<Vec<_>>(), [Revoked::One(idle.0)]);
    assert_eq!(store.reads.last_ending().await, Ok(revocations[0].number));
    for (session, family, holds) in [(idle, dead, false), (used, alive, true)] {
        let credential = Credential { session: Some(session), family: Some(family), ..Credential::of(alice()) };
        let status = store.reads.credential_status(credential.clone(), now).await.expect("an answer").expect("a user");
        assert_eq!(status.judge(&credential).is_ok(), holds);
    }
    clear(&mut store, now.plus(REVOCATIONS_KEPT), now.plus(REVOCATIONS_KEPT));
    clear(&mut store, now.plus(2 * REVOCATIONS_KEPT), now.plus(2 * REVOCATIONS_KEPT));
    assert!(store.reads.revocations(0, 10).await.expect("revocations").is_empty(), "history is cleared away");
    assert!(store.reads.last_ending().await.expect("a number") > 0, "but not forgotten");
}

#[test]
fn while_a_step_of_the_clock_is_not_believed_expired_tickets_go_and_logins_stay() {
    let (mut store, now) = (store(), Time(0));
    let session = sign_in(&mut store, 1, now);
    family(&mut store, session, 1);
    let expires_at = now.plus(Duration::from_secs(30));
    let (credential, context_expires_at) = (Credential::of(alice()), Time(i64::MAX));
    let ticket = Ticket { credential, permissions: Vec::new(), tier: "user".into(), context_expires_at, expires_at };
    act(&mut store, LoginAct::PutTicket { hash: [3; 32], ticket });
    let rows = |store: &Sqlite| {
        let count =
            "SELECT (SELECT count(*) FROM tickets), (SELECT count(*) FROM sessions), (SELECT count(*) FROM families)";
        let connection = store.log.connection.as_ref().expect("the writing connection");
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?));
        connection.query_row(count, (), row).expect("counts")
    };
    clear(&mut store, now, now);
    assert_eq!(rows(&store), (1, 1, 1));
    clear(&mut store, now, now.plus(1_000 * HOUR));
    assert_eq!(rows(&store), (0, 1, 1));
}

#[test]
fn a_refresh_token_is_used_once_and_one_used_before_ends_its_family() {
    let mut store = store();
    let session = sign_in(&mut store, 1, Time(0));
    family(&mut store, session, 1);
    assert!(matches!(refresh(&mut store, [1; 32], [2; 32]), Refreshed::Next { .. }));
    assert!(matches!(refresh(&mut store, [2; 32], [3; 32]), Refreshed::Next { .. }));
    assert_eq!(refresh(&mut store, [1; 32], [4; 32]), Refreshed::Reused);
    for token in [1, 2, 3, 4] {
        assert_eq!(refresh(&mut store, [token; 32], [9; 32]), Refreshed::Unknown, "{token}");
    }
}

#[test]
fn a_refresh_for_a_login_that_has_ended_uses_nothing_up() {
    let mut store = store();
    let session = sign_in(&mut store, 1, Time(0));
    family(&mut store, session, 1);
    act(&mut store, LoginAct::SetDisabled { user: alice(), disabled: true, at: Time(1) });
    assert_eq!(refresh(&mut store, [1; 32], [2; 32]), Refreshed::Unknown);
}

#[test]
fn a_family_remembers_so_many_used_tokens_and_no_more() {
    let mut store = store();
    let session = sign_in(&mut store, 1, Time(0));
    family(&mut store, session, 0);
    let token = |number: u32| {
        let mut token = [0; 32];
        token[28..].copy_from_slice(&number.to_be_bytes());
        token
    };
    let rotations = ROTATIONS_KEPT + 10;
    for number in 0..rotations {
        assert!(matches!(refresh(&mut store, token(number), token(number + 1)), Refreshed::Next { .. }), "{number}");
    }
    assert_eq!(refresh(&mut store, token(5), token(9_999)), Refreshed::Unknown, "forgotten");
    assert!(matches!(refresh(&mut store, token(rotations), token(rotations + 1)), Refreshed::Next { .. }));
    assert_eq!(refresh(&mut store, token(rotations - 5), token(9_999)), Refreshed::Reused, "remembered");
}

#[test]
fn the_least_used_login_and_the_oldest_family_give_way_to_one_too_many() {
    let mut store = store();
    let count = |store: &mut Sqlite, what: &str| -> u32 {
        // Ends nothing: only tells how many there are.
        let ended = act(store, LoginAct::Revoke { user: alice(), at: Time(0) });
        assert!(matches!(ended, LoginDone::Ended { .. }), "{what}");
        let LoginDone::Ended { sessions } = ended else { return 0 };
        u32::try_from(sessions).unwrap_or(u32::MAX)
    };
    for n in 0..=u8::try_from(SESSIONS_MAX).expect("a small limit") {
        sign_in(&mut store, n, Time(i64::from(n)));
    }
    assert_eq!(count(&mut store, "logins"), SESSIONS_MAX);
    let session = sign_in(&mut store, 1, Time(1));
    let newest = u8::try_from(FAMILIES_MAX).expect("a small limit");
    for token in 0..=newest {
        family(&mut store, session, token);
    }
    assert_eq!(refresh(&mut store, [0; 32], [99; 32]), Refreshed::Unknown, "the oldest");
    assert!(matches!(refresh(&mut store, [newest; 32], [100; 32]), Refreshed::Next { .. }));
}

#[test]
fn permissions_are_given_and_taken_in_one_step() {
    let mut store = store();
    let change = |give: &[Permission], take: &[Permission]| LoginAct::ChangePermissions {
        user: alice(),
        give: give.to_vec(),
        take: take.to_vec(),
    };
    let both = LoginDone::Permissions(vec![Permission::Admin, Permission::Publish]);
    assert_eq!(act(&mut store, change(&[Permission::Publish, Permission::Admin, Permission::Admin], &[])), both);
    let publish = LoginDone::Permissions(vec![Permission::Publish]);
    assert_eq!(act(&mut store, change(&[], &[Permission::Admin])), publish);
    let user = UserId::parse("nobody").expect("a user id");
    let change = LoginAct::ChangePermissions { user, give: Vec::new(), take: Vec::new() };
    assert_eq!(act(&mut store, change), LoginDone::NoSuchUser);
}

/// Whether a token without a login that is dated so holds for alice, at this reading of the server's clock.
async fn holds(store: &Sqlite, dated: Time, now: Time) -> bool {
    let credential = Credential { issued_at: Some(dated), ..Credential::of(alice()) };
    let status = store.reads.credential_status(credential.clone(), now).await.expect("an answer").expect("a user");
    // `check_times` in `auth/token.rs` lets nothing in that is dated further ahead.
    dated <= now.plus(LEEWAY) && status.judge(&credential).is_ok()
}

#[actix_web::test]
async fn no_token_that_was_let_in_before_a_revocation_is_let_in_after_it_whatever_the_clocks_showed() {
    const START: i64 = 1_800_000_000_000;
    let (minute, steps) = (60_000, [-86_400_000, -7_200_000, -60_000, -1, 0, 1, 30_000, 7_200_000, 86_400_000]);
    // The server's clock shows `before` when it lets a token in and sweeps, and is `step` further when it revokes.
    for step in steps {
        for ahead in [-3_600_000, -5_000, -1, 0, 1, 1_000, 4_999, 5_000] {
            let mut store = store();
            let (before, dated) = (Time(START), Time(START + ahead));
            assert!(holds(&store, dated, before).await, "dated {ahead} ms ahead");
            clear(&mut store, before, before);
            let revoked = Time(START + minute + step);
            act(&mut store, LoginAct::Revoke { user: alice(), at: revoked });
            for later in [0, 1, 5_000, 10_000, minute, 7_200_000, 86_400_000, 200_000_000] {
                for clock in [Time(revoked.0 + later), Time(START + later)] {
                    assert!(!holds(&store, dated, clock).await, "{ahead} ms ahead, a step of {step} ms, {later} ms later");
                }
            }
            // A sign-in goes by its login, whatever the clocks show.
            let session = sign_in(&mut store, 9, revoked);
            let credential = Credential { issued_at: Some(revoked), session: Some(session), ..Credential::of(alice()) };
            let status =
                store.reads.credential_status(credential.clone(), revoked).await.expect("an answer").expect("a user");
            assert_eq!(status.judge(&credential), Ok(()));
        }
    }
}

#[actix_web::test]
async fn a_clock_that_was_years_ahead_for_a_moment_keeps_new_tokens_out_for_a_day_at_most() {
    let (mut store, now) = (store(), Time(1_800_000_000_000));
    clear(&mut store, now, now.plus(100_000 * HOUR));
    act(&mut store, LoginAct::Revoke { user: alice(), at: now });
    let tomorrow = now.plus(24 * HOUR).plus(LEEWAY);
    assert!(!holds(&store, tomorrow, tomorrow).await);
    assert!(holds(&store, Time(tomorrow.0 + 1), Time(tomorrow.0 + 1)).await);
}

#[test]
fn a_sign_in_at_a_provider_that_began_before_a_revocation_is_too_late() {
    let mut store = store();
    let subject = |user: &str| Subject {
        issuer: "one".into(),
        subject: user.into(),
        user_ids: vec![UserId::parse(user).expect("a user id")],
        name: None,
        email: None,
    };
    let link = |store: &mut Sqlite, user: &str, after: u64| match act(
        store,
        LoginAct::LinkSubject { subject: subject(user), after, at: Time(0) },
    ) {
        LoginDone::Linked(account) => account.map(|account| account.user_id.to_string()),
        other => Some(format!("{other:?}")),
    };
    let (alices, bobs, late) = (Some("alice".to_owned()), Some("bob".to_owned()), Some("TooLate".to_owned()));
    for (number, change) in [
        LoginAct::Revoke { user: alice(), at: Time(9) },
        LoginAct::SetDisabled { user: alice(), disabled: true, at: Time(9) },
    ]
    .into_iter()
    .enumerate()
    {
        let number = number as u64;
        assert_eq!(link(&mut store, "alice", number), alices);
        act(&mut store, change);
        assert_eq!(link(&mut store, "alice", number), late);
        assert_eq!(link(&mut store, "alice", number + 1), alices, "begun after it");
        assert_eq!(link(&mut store, "bob", number), bobs, "somebody else");
    }
    sign_in(&mut store, 3, Time(9));
    act(&mut store, LoginAct::EndSession { key: [3; 32], at: Time(9) });
    assert_eq!(link(&mut store, "alice", 2), alices, "another sign-in that ended");
}

#[tokio::test]
async fn a_sign_in_that_is_too_late_stores_nothing_and_one_in_time_opens_no_session_after_a_revocation() {
    let mut store = store();
    let link = |store: &mut Sqlite, subject: &str, name: &str, after: u64| {
        let user_ids = vec![UserId::parse(subject).expect("a user id")];
        let (issuer, subject) = ("one".into(), subject.into());
        let subject = Subject { issuer, subject, user_ids, name: Some(name.into()), email: Some(format!("{name}@x")) };
        act(store, LoginAct::LinkSubject { subject, after, at: Time(0) })
    };
    let reads = store.reads.clone();
    let LoginDone::Linked(Some(account)) = link(&mut store, "alice", "First", 0) else { panic!("not linked") };
    assert_eq!((&*account.name, account.email.as_deref(), account.login_epoch), ("First", Some("First@x"), 0));
    act(&mut store, LoginAct::Revoke { user: alice(), at: Time(9) });
    assert_eq!(
        save(&mut store, 1, Some(account.login_epoch), Time(10)).0,
        LoginDone::TooLate,
        "revoked after it was linked"
    );
    let bob = Account::new(UserId::parse("bob").expect("a user id"), "Bob");
    act(&mut store, LoginAct::CreateAccount { account: bob.clone(), at: Time(0), keep: false });
    act(&mut store, LoginAct::Revoke { user: bob.user_id, at: Time(9) });
    for user in ["alice", "bob"] {
        let before = reads.account(UserId::parse(user).expect("a user id")).await.expect("an answer");
        assert_eq!(link(&mut store, user, "Second", 0), LoginDone::TooLate);
        assert_eq!(reads.account(UserId::parse(user).expect("a user id")).await.expect("an answer"), before, "{user}");
    }
    assert_eq!(reads.subject("one".into(), "bob".into()).await.expect("an answer"), None, "not linked");
    act(&mut store, LoginAct::SetDisabled { user: alice(), disabled: true, at: Time(9) });
    let LoginDone::Linked(Some(account)) = link(&mut store, "alice", "Third", 3) else { panic!("not linked") };
    assert!(account.disabled && account.name == "First", "a disabled account is refused, and stays as it is");
}
