//! Reads: lists and single things, each for one user, each in one short read transaction.

use rusqlite::{Connection, Result};

use super::{
    super::{Head, Memberships, Messages, Missed, Page, PageLimit, Reads, ThreadView, Window},
    credential_status, feed, history, people,
    pool::Pool,
    rows::{self, Membership, signed},
    threads,
};
use crate::domain::{
    BoxFuture, Credential, Event, Marker, Message, MessageId, Person, Position, StoreError, ThreadId, Time, UserId,
};

/// Threads of a user that are read on the thread that asks; who has more waits for another thread instead.
const FEW: u64 = 100;

impl Reads for Pool {
    fn on_panic(&self, alarm: Box<dyn Fn() + Send + Sync>) {
        self.alarm(alarm);
    }

    fn head(&self) -> BoxFuture<'_, std::result::Result<Head, StoreError>> {
        self.point(rows::head)
    }

    fn events(&self, from: Position, to: Position) -> BoxFuture<'_, std::result::Result<Vec<Event>, StoreError>> {
        self.read(move |connection| feed::events(connection, from, to))
    }

    fn memberships(&self, credential: Credential, now: Time) -> BoxFuture<'_, std::result::Result<Memberships, StoreError>> {
        let whole = credential.clone();
        self.short(
            |connection| {
                let found = memberships(connection, &credential, now, Some(FEW + 1))?;
                Ok((found.threads.len() as u64 <= FEW).then_some(found))
            },
            move |connection| memberships(connection, &whole, now, None),
        )
    }

    fn missed(&self, user: UserId, after: Position, limit: u64) -> BoxFuture<'_, std::result::Result<Missed, StoreError>> {
        self.read(move |connection| feed::missed(connection, &user, after, limit))
    }

    fn page(
        &self,
        user: UserId,
        after: Position,
        moved: Position,
        most: PageLimit,
    ) -> BoxFuture<'_, std::result::Result<Page, StoreError>> {
        let whole = user.clone();
        self.short(
            |connection| feed::empty_page(connection, &user, after, moved),
            move |connection| feed::page(connection, &whole, after, moved, most),
        )
    }

    fn markers(
        &self,
        user: UserId,
        from: Position,
        to: Position,
    ) -> BoxFuture<'_, std::result::Result<Vec<Marker>, StoreError>> {
        self.read(move |connection| feed::markers(connection, &user, from, to))
    }

    fn threads(
        &self,
        user: UserId,
        after: Option<ThreadId>,
        limit: u64,
    ) -> BoxFuture<'_, std::result::Result<Option<(Vec<ThreadView>, Head)>, StoreError>> {
        self.read(move |connection| thread_page(connection, &user, after, limit))
    }

    fn thread(&self, user: UserId, thread: ThreadId) -> BoxFuture<'_, std::result::Result<Option<ThreadView>, StoreError>> {
        self.read(move |connection| self::thread(connection, &user, thread))
    }

    fn members(
        &self,
        user: UserId,
        thread: ThreadId,
        after: Option<UserId>,
        limit: u64,
    ) -> BoxFuture<'_, std::result::Result<Option<Vec<Person>>, StoreError>> {
        self.read(move |connection| self::members(connection, &user, thread, after.as_ref(), limit))
    }

    fn messages(
        &self,
        user: UserId,
        thread: ThreadId,
        window: Window,
        limit: u64,
    ) -> BoxFuture<'_, std::result::Result<Option<Messages>, StoreError>> {
        self.read(move |connection| history::of_thread(connection, &user, thread, window, limit))
    }

    fn all_messages(
        &self,
        user: UserId,
        window: Window,
        limit: u64,
    ) -> BoxFuture<'_, std::result::Result<Messages, StoreError>> {
        self.read(move |connection| history::of_user(connection, &user, window, limit))
    }

    fn message(&self, user: UserId, message: MessageId) -> BoxFuture<'_, std::result::Result<Option<Message>, StoreError>> {
        self.read(move |connection| history::message(connection, &user, message))
    }

    fn people(&self, prefix: String, limit: u64) -> BoxFuture<'_, std::result::Result<Vec<Person>, StoreError>> {
        self.read(move |connection| people::people(connection, &prefix, limit))
    }
}

fn memberships(connection: &Connection, credential: &Credential, now: Time, most: Option<u64>) -> Result<Memberships> {
    let (at, threads) = feed::memberships(connection, &credential.user, most)?;
    Ok(Memberships { at, threads, status: credential_status::credential_status(connection, credential, now)? })
}

/// One thread, for a member.
pub(super) fn thread(connection: &Connection, user: &UserId, thread: ThreadId) -> Result<Option<ThreadView>> {
    let Some(membership) = rows::membership(connection, user, thread.0)? else { return Ok(None) };
    let thread = rows::thread(connection, membership.thread_num)?;
    threads::view(connection, user, &membership, thread).map(Some)
}

/// A page of the members of a thread, for a member.
pub(super) fn members(
    connection: &Connection,
    user: &UserId,
    thread: ThreadId,
    after: Option<&UserId>,
    limit: u64,
) -> Result<Option<Vec<Person>>> {
    let Some(membership) = rows::membership(connection, user, thread.0)? else { return Ok(None) };
    connection
        .prepare_cached(
            "SELECT u.user_id, u.name FROM memberships m JOIN users u USING (user_id)
             WHERE m.thread_num = ?1 AND m.until_position IS NULL AND m.user_id > ?2 ORDER BY m.user_id LIMIT ?3",
        )?
        .query_and_then((membership.thread_num, after.map_or("", UserId::as_str), signed(limit)), |row| {
            rows::person(row, 0)
        })?
        .collect::<Result<_>>()
        .map(Some)
}

/// A page of a user's threads, latest activity first.
pub(super) fn thread_page(
    connection: &Connection,
    user: &UserId,
    after: Option<ThreadId>,
    limit: u64,
) -> Result<Option<(Vec<ThreadView>, Head)>> {
    let head = rows::head(connection)?;
    let below: i64 = match after {
        None => i64::MAX,
        Some(thread) => {
            let Some(membership) = rows::membership(connection, user, thread.0)? else { return Ok(None) };
            connection
                .prepare_cached("SELECT last_position FROM threads WHERE thread_num = ?1")?
                .query_row([membership.thread_num], |row| row.get(0))?
        }
    };
    let memberships: Vec<Membership> = connection
        .prepare_cached(
            "SELECT t.thread_num, t.owner, t.sequence, t.member_count, m.read_sequence
             FROM memberships m JOIN threads t USING (thread_num)
             WHERE m.user_id = ?1 AND m.until_position IS NULL AND t.last_position < ?2
             ORDER BY t.last_position DESC LIMIT ?3",
        )?
        .query_and_then((user.as_str(), below, signed(limit)), rows::membership_row)?
        .collect::<Result<_>>()?;
    let mut views = Vec::with_capacity(memberships.len());
    for membership in &memberships {
        let thread = rows::thread(connection, membership.thread_num)?;
        views.push(threads::view(connection, user, membership, thread)?);
    }
    Ok(Some((views, head)))
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{World, user},
        *,
    };
    use crate::store::LoginReads as _;

    async fn heard(world: &World, name: &str) -> Memberships {
        let credential = Credential { user: user(name), issued_at: None, session: None, family: None };
        world.store.reads.memberships(credential, world.now).await.expect("an answer")
    }

    #[actix_web::test]
    async fn who_hears_few_threads_and_who_hears_many_hears_them_all() {
        let mut world = World::new(&["alice", "bob", "carol"]);
        for number in 0..=FEW {
            world.thread("alice", if number == 0 { &[] } else { &["bob"] });
        }
        for (name, threads) in [("alice", FEW + 1), ("bob", FEW), ("carol", 0)] {
            let Memberships { at, threads: found, status } = heard(&world, name).await;
            assert_eq!(found.len() as u64, threads, "{name}");
            assert_eq!(at.position, world.store.reads.head().await.expect("an answer").position);
            assert_eq!(status.map(|status| status.account), world.store.reads.account(user(name)).await.expect("an answer"));
        }
    }

    #[actix_web::test]
    async fn the_page_after_the_end_of_the_log_is_the_same_wherever_it_is_read() {
        let mut world = World::new(&["alice", "bob"]);
        let thread = world.thread("alice", &["bob"]);
        world.send("alice", thread, "read by bob");
        world.read("bob", thread, 2);
        for _ in 0..3 {
            let head = world.store.reads.head().await.expect("an answer").position;
            for (name, after) in (0..=head.0).map(Position).flat_map(|after| [("alice", after), ("bob", after)]) {
                let here = feed::empty_page(world.connection(), &user(name), after, after).expect("an answer");
                let whole =
                    feed::page(world.connection(), &user(name), after, after, PageLimit::of(100)).expect("an answer");
                let plain = after == head && whole.read.as_ref().is_some_and(Vec::is_empty);
                assert_eq!(here.is_some(), plain, "{name} after {after:?}");
                assert!(here.is_none_or(|here| format!("{here:?}") == format!("{whole:?}")), "{name} after {after:?}");
                let told = world.store.reads.page(user(name), after, after, PageLimit::of(100)).await.expect("an answer");
                assert_eq!(format!("{told:?}"), format!("{whole:?}"), "{name} after {after:?}");
            }
            world.send("bob", thread, "another");
        }
    }
}
