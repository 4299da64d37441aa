//! A thread of a million messages costs what a short one costs: every statement goes through an index, and the steps
//! that SQLite counts do not grow with the log. A hundred thousand here; the million with `DELIVERY_LONG=1`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use rusqlite::{
    Connection, StatementStatus,
    trace::{TraceEvent, TraceEventCodes},
};

use super::{
    feed, history, people, read,
    rows::{self, signed},
    testing::{World, content, draft, user},
};
use crate::{
    domain::{MessageId, Position, Sequence, ThreadId},
    store::{Act, PageLimit, UNREAD_MAX, Window, Write},
};

/// Each statement that was run, by its text, with the steps it took.
#[derive(Clone, Default)]
struct Counted(Arc<Mutex<BTreeMap<String, i32>>>);

impl Counted {
    /// Counts what is done with the writing connection from now on.
    fn begin(world: &mut World) -> Counted {
        let counted = Counted::default();
        let inner = counted.clone();
        let connection = world.store.log.connection.as_mut().expect("the writing connection");
        // A statement that is kept counts on from its last use.
        connection.flush_prepared_statement_cache();
        let note = move |event: TraceEvent<'_>| {
            if let TraceEvent::Profile(statement, _) = event {
                let steps = statement.get_status(StatementStatus::VmStep);
                inner.0.lock().expect("no panic").insert(statement.sql().into_owned(), steps);
            }
        };
        connection.trace_v2(TraceEventCodes::SQLITE_TRACE_PROFILE, Some(note)).expect("a trace");
        counted
    }

    fn end(self, world: &mut World) -> BTreeMap<String, i32> {
        let connection = world.store.log.connection.as_mut().expect("the writing connection");
        connection.trace_v2(TraceEventCodes::empty(), None::<fn(TraceEvent<'_>)>).expect("no trace");
        std::mem::take(&mut *self.0.lock().expect("no panic"))
    }
}

/// Something that is done with a store.
type Deed = fn(&mut World, &Long);

/// What a user does, in a thread that is long.
const DEEDS: [(&str, Deed); 24] = [
    ("the newest page", |world, long| of_thread(world, long, Window::Newest)),
    ("a page from the middle back", |world, long| of_thread(world, long, Window::Before(Sequence(long.middle())))),
    ("a page from the middle on", |world, long| of_thread(world, long, Window::After(Sequence(long.middle())))),
    ("the newest of all threads", |world, _| of_user(world, Window::Newest)),
    ("all threads from the middle back", |world, long| of_user(world, Window::Before(Sequence(long.middle())))),
    ("all threads from the middle on", |world, long| of_user(world, Window::After(Sequence(long.middle())))),
    ("a message by its id", |world, long| {
        assert!(history::message(world.connection(), &user("alice"), long.message).expect("an answer").is_some());
    }),
    ("the list of threads", |world, _| {
        let (views, _) =
            read::thread_page(world.connection(), &user("alice"), None, 100).expect("an answer").expect("a page");
        assert_eq!(views.len(), 31);
    }),
    ("the list of threads, later", |world, long| {
        let page = read::thread_page(world.connection(), &user("alice"), Some(long.thread), 100).expect("an answer");
        assert!(page.is_some());
    }),
    ("one thread of which the most is unread", |world, long| assert_eq!(unread(world, "bob", long.thread), UNREAD_MAX)),
    ("one thread that one wrote alone", |world, long| assert_eq!(unread(world, "alice", long.thread), 1)),
    ("the members", |world, long| {
        let members = read::members(world.connection(), &user("bob"), long.thread, None, 100);
        assert_eq!(members.expect("an answer").map(|members| members.len()), Some(3));
    }),
    ("people whose name begins alike", |world, _| {
        assert_eq!(people::people(world.connection(), "match", 20).expect("an answer").len(), 20);
    }),
    ("what is heard", |world, _| _ = feed::memberships(world.connection(), &user("alice"), None).expect("an answer")),
    ("how much was missed", |world, long| {
        let missed = feed::missed(world.connection(), &user("bob"), Position(long.last - 900), 1_000).expect("an answer");
        assert_eq!(missed.events, 900);
    }),
    ("whether more was missed than is replayed", |world, _| {
        assert_eq!(feed::missed(world.connection(), &user("bob"), Position(0), 1_000).expect("an answer").events, 1_001);
    }),
    ("a page of a catch-up", |world, long| {
        let page =
            feed::page(world.connection(), &user("bob"), Position(long.middle()), Position(u64::MAX), PageLimit::of(100))
                .expect("a page");
        assert_eq!((page.events.len(), page.complete_to.position), (100, Position(long.middle() + 100)));
    }),
    ("a hole that the hub fills", |world, long| {
        let (from, to) = (Position(long.middle()), Position(long.middle() + 50));
        assert_eq!(feed::events(world.connection(), from, to).expect("events").len(), 50);
    }),
    ("a message more", |world, long| _ = world.send_with_key("alice", Some("key"), long.thread, "more")),
    ("the same again", |world, long| assert!(world.send_with_key("alice", Some("key"), long.thread, "more").1)),
    ("an edit", |world, long| _ = world.edit("alice", long.message, "edited")),
    ("a deletion", |world, long| _ = world.delete("alice", long.message)),
    ("a read marker", |world, long| _ = world.read("bob", long.thread, 10)),
    ("a part of the oldest goes", |world, _| {
        let before = Some(world.now.plus(std::time::Duration::from_secs(1)));
        assert_eq!(world.prune(before), (256, true));
    }),
];

fn of_thread(world: &mut World, long: &Long, window: Window) {
    let page = history::of_thread(world.connection(), &user("bob"), long.thread, window, 50).expect("an answer");
    assert_eq!(page.map(|page| page.messages.len()), Some(50));
}

fn of_user(world: &mut World, window: Window) {
    let page = history::of_user(world.connection(), &user("alice"), window, 50).expect("an answer");
    assert_eq!((page.messages.len(), page.has_more), (50, true));
}

fn unread(world: &World, name: &str, thread: ThreadId) -> u64 {
    read::thread(world.connection(), &user(name), thread).expect("an answer").expect("a thread").unread
}

/// A thread of so many messages, the last but one by bob, and all others by alice, beside thirty short ones; and a fifth as
/// many users whose ids and names begin alike.
struct Long {
    thread: ThreadId,
    last: u64,
    message: MessageId,
}

impl Long {
    fn new(world: &mut World, messages: u64) -> Long {
        let thread = world.thread("alice", &["bob", "carol"]);
        let connection = world.connection();
        let number = rows::membership(connection, &user("alice"), thread.0).expect("an answer").expect("alice").thread_num;
        // The thread's creation is position and sequence 1, so that both are the same below.
        for sql in [
            "INSERT INTO messages (position, message_id, thread_num, sequence, author, content, created_at)
             WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i <= ?2)
             SELECT i, randomblob(16), ?1, i, 'alice', 'said ' || i, 1000 FROM n",
            "INSERT INTO events (position, mark, thread_num, sequence, kind, at, by, message_position)
             WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i <= ?2)
             SELECT i, i & 0xffff, ?1, i, 1, 1000, 'alice', i FROM n",
            // Half of those who match are disabled, and stand before the others.
            "INSERT INTO users (user_id, name, name_folded, tier, permissions, disabled, created_at)
             WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i <= ?2 / 5)
             SELECT format('match-%07d', i), format('Match %07d', i), format('match %07d', i), 'free', '[]', i < ?2 / 10, 0 FROM n",
            "UPDATE threads SET sequence = ?2 + 1, last_position = ?2 + 1 WHERE thread_num = ?1",
        ] {
            connection.execute(sql, (number, signed(messages))).expect("rows");
        }
        world.send("bob", thread, "seen by nobody");
        let message = world.send("alice", thread, "the last").message_id;
        let last = messages + 3;
        for _ in 0..30 {
            let short = world.thread("alice", &[]);
            world.send("alice", short, "short");
        }
        Long { thread, last, message }
    }

    fn middle(&self) -> u64 {
        self.last / 2
    }
}

fn steps(messages: u64) -> Vec<i32> {
    let mut world = World::new(&["alice", "bob", "carol"]);
    let long = Long::new(&mut world, messages);
    let mut all = Vec::new();
    for (_, deed) in DEEDS {
        let counted = Counted::begin(&mut world);
        deed(&mut world, &long);
        all.push(counted.end(&mut world).into_values().sum());
    }
    all
}

#[test]
fn nothing_takes_more_steps_in_a_long_thread_than_in_a_short_one() {
    let long = if std::env::var_os("DELIVERY_LONG").is_some() { 1_000_000 } else { 100_000 };
    let (few, many) = (steps(5_000), steps(long));
    for (((what, _), few), many) in DEEDS.iter().zip(few).zip(many) {
        println!("{what}: {few} steps in a thread of 5,000 messages, {many} in one of {long}");
        assert!(few > 0 && many <= few + few / 10 + 50, "{what}: {few} steps, and {many} in a thread of {long} messages");
    }
}

/// What a statement may walk from end to end: one row, or what a part of the statement has found.
fn may_be_walked(step: &str) -> bool {
    step == "SCAN meta" || step == "SCAN CONSTANT ROW" || step.starts_with("SCAN (subquery-")
}

fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("a plan");
    let rows = statement.raw_query().mapped(|row| row.get(3)).collect::<Result<_, _>>();
    rows.expect("text")
}

/// What a plan walks from end to end and must not.
fn walked(connection: &Connection, sql: &str) -> Vec<String> {
    let bad = |step: &String| (step.contains("SCAN") && !may_be_walked(step)) || step.contains("AUTOMATIC");
    plan(connection, sql).into_iter().filter(bad).map(|step| format!("{step}\n    in {sql}")).collect()
}

#[test]
fn a_statement_that_walks_the_log_is_noticed() {
    const WALKS: &str = "SELECT count(*) FROM messages WHERE content = 'nothing'";
    let walk = |messages| {
        let mut world = World::new(&["alice", "bob", "carol"]);
        Long::new(&mut world, messages);
        assert_eq!(walked(world.connection(), WALKS).len(), 1);
        let counted = Counted::begin(&mut world);
        world.connection().query_row(WALKS, (), |row| rows::count(row, 0)).expect("a count");
        counted.end(&mut world).into_values().sum::<i32>()
    };
    let (few, many) = (walk(500), walk(5_000));
    assert!(many > 5 * few, "{few} steps, and {many} for ten times as many rows");
}

#[test]
fn every_statement_of_the_log_goes_through_an_index() {
    let mut world = World::new(&["alice", "bob", "carol", "dave"]);
    let long = Long::new(&mut world, 5_000);
    let counted = Counted::begin(&mut world);
    for (_, deed) in DEEDS {
        deed(&mut world, &long);
    }
    let thread = world.thread("bob", &["alice"]);
    world.send("bob", thread, "x");
    for (by, act) in [
        ("bob", Act::AddMember { thread, user: user("dave") }),
        ("bob", Act::UpdateThread { thread, title: Some(Some("title".to_owned())), owner: Some(user("alice")) }),
        ("dave", Act::EditMessage { message: long.message, content: content("refused") }),
        // The owner leaves and hands over; the last to leave ends the thread.
        ("alice", Act::RemoveMember { thread, user: user("alice") }),
        ("bob", Act::RemoveMember { thread, user: user("dave") }),
        ("bob", Act::RemoveMember { thread, user: user("bob") }),
        ("bob", Act::Send { thread, draft: draft("refused") }),
    ] {
        let refused = matches!(act, Act::EditMessage { .. } | Act::Send { .. });
        assert_eq!(world.act(by, None, act).is_err(), refused);
    }
    world.write(&Write::Canary { at: world.now });
    world.act("alice", None, Act::DeleteThread { thread: long.thread }).expect("a deletion");
    world.prune_all(Some(crate::domain::Time(i64::MAX)));
    let statements = counted.end(&mut world);
    assert!(statements.len() >= 60, "the statements were seen: {}", statements.len());
    let control = |sql: &&String| !["BEGIN", "COMMIT", "PRAGMA"].iter().any(|word| sql.starts_with(word));
    let walked: Vec<String> =
        statements.keys().filter(control).flat_map(|sql| self::walked(world.connection(), sql)).collect();
    assert!(walked.is_empty(), "{}", walked.join("\n"));
}
