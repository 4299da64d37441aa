//! Pruning on a store in memory: what goes with what, what stays, and that nothing else changes.

use proptest::prelude::*;

use super::{
    super::testing::{World, content, draft, user},
    *,
};
use crate::{
    domain::{Event, MessageId, Position, Reset, Resume, Sequence, ThreadId, cursor},
    store::{Act, Missed, Page, PageLimit, Reads, ThreadView, Window},
};

const OLD: Time = Time(1_000);
const EDGE: Time = Time(5_000);
const YOUNG: Time = Time(9_000);

async fn missed(world: &World, name: &str, after: u64) -> Missed {
    world.store.reads.missed(user(name), Position(after), 1_000).await.expect("an answer")
}

async fn page(world: &World, name: &str, after: u64) -> Page {
    world.store.reads.page(user(name), Position(after), Position(after), PageLimit::of(10_000)).await.expect("a page")
}

async fn view(world: &World, name: &str, thread: ThreadId) -> ThreadView {
    world.store.reads.thread(user(name), thread).await.expect("an answer").expect("a thread")
}

async fn history(world: &World, name: &str, thread: ThreadId) -> Vec<Option<String>> {
    let page = world.store.reads.messages(user(name), thread, Window::Newest, 100).await.expect("an answer");
    page.expect("a thread").messages.into_iter().map(|message| message.content).collect()
}

#[test]
fn nothing_goes_without_an_edge_or_above_it() {
    let mut world = World::new(&["alice"]);
    let thread = world.thread("alice", &[]);
    (0..5).for_each(|_| _ = world.send("alice", thread, "x"));
    assert_eq!(world.prune(None), (0, false));
    assert_eq!(world.prune(Some(OLD)), (0, false), "what is exactly as old as allowed stays");
    assert_eq!((world.count("events"), world.count("messages")), (6, 5));
}

#[test]
fn old_events_go_with_their_messages_keys_ended_memberships_and_deleted_threads() {
    let mut world = World::new(&["alice", "bob"]);
    let thread = world.thread("alice", &["bob"]);
    world.send_with_key("bob", Some("k1"), thread, "old");
    world.act("alice", None, Act::RemoveMember { thread, user: user("bob") }).expect("a removal");
    let create = Act::CreateThread { title: None, members: vec![user("bob")] };
    let Ok(Done::Thread { view, .. }) = world.act("alice", Some("k2"), create) else { panic!("no thread") };
    let doomed = view.thread.thread_id;
    world.send_with_key("bob", Some("k3"), doomed, "doomed");
    world.act("alice", None, Act::DeleteThread { thread: doomed }).expect("a deletion");
    world.now = YOUNG;
    world.send_with_key("alice", Some("k4"), thread, "young");
    let before = world.count("memberships");
    world.prune_all(Some(EDGE));
    assert_eq!((world.count("events"), world.count("messages")), (1, 1));
    assert_eq!(world.count("retry_keys WHERE key = 'k4'"), world.count("retry_keys"), "the others went");
    assert_eq!((before, world.count("memberships"), world.count("threads")), (4, 1, 1));
    assert!(world.send_with_key("alice", Some("k4"), thread, "young").1, "a kept message keeps its key");
    let own = world.thread("bob", &[]);
    let again = world.send_with_key("bob", Some("k3"), own, "doomed").1;
    assert!(!again, "a key is free again with its message");
}

#[actix_web::test]
async fn the_last_event_stays_so_that_the_end_of_the_log_never_moves_back() {
    let mut world = World::new(&["alice"]);
    let thread = world.thread("alice", &[]);
    (0..5).for_each(|_| _ = world.send("alice", thread, "x"));
    let head = world.store.reads.head().await.expect("a head");
    world.prune_all(Some(YOUNG));
    assert_eq!((world.count("events"), world.count("messages")), (1, 1));
    assert_eq!(world.store.reads.head().await, Ok(head));
    assert_eq!(missed(&world, "alice", head.position.0).await.mark_there, Some(head.mark));
    assert_eq!(world.send("alice", thread, "next").sequence, Sequence(7));
    world.now = YOUNG.plus(std::time::Duration::from_secs(1));
    let next = world.store.reads.head().await.expect("a head");
    assert_eq!(next.position, head.position.next());
}

#[actix_web::test]
async fn a_cursor_below_what_is_kept_has_expired_at_the_beginning_too() {
    let mut world = World::new(&["alice"]);
    let empty = missed(&world, "alice", 0).await;
    assert_eq!((empty.head.position, empty.mark_there), (Position(0), Some(0)), "an empty log is kept from its beginning");
    let thread = world.thread("alice", &[]);
    (0..4).for_each(|_| _ = world.send("alice", thread, "x"));
    world.now = YOUNG;
    (0..5).for_each(|_| _ = world.send("alice", thread, "x"));
    let marks: Vec<Option<u32>> =
        [missed(&world, "alice", 0).await.mark_there, missed(&world, "alice", 3).await.mark_there].into();
    assert_eq!((world.prune(Some(EDGE)), marks[0]), ((5, false), Some(0)));
    for (at, held) in [(0, marks[0]), (3, marks[1])] {
        let now = missed(&world, "alice", at).await;
        let given = cursor::Cursor { epoch: now.head.epoch, position: Position(at), mark: held.expect("a mark") };
        let verdict = cursor::judge(&given, now.head.epoch, now.head.position, now.mark_there);
        assert_eq!(verdict, Resume::Reset(Reset::Expired), "{at}");
        assert!(page(&world, "alice", at).await.pruned, "a catch-up on its way is told too");
    }
    let kept = missed(&world, "alice", 6).await;
    assert_eq!((kept.mark_there.is_some(), kept.events), (true, 4));
    for after in [5, 6, 10] {
        assert!(!page(&world, "alice", after).await.pruned, "nothing above {after} is gone");
    }
}

#[actix_web::test]
async fn a_thread_lives_on_with_its_sequence_its_unread_count_and_its_pages() {
    let mut world = World::new(&["alice", "bob"]);
    let (quiet, busy) = (world.thread("alice", &["bob"]), world.thread("alice", &["bob"]));
    for thread in [quiet, busy] {
        (0..5).for_each(|number| _ = world.send("alice", thread, &format!("old {number}")));
    }
    world.now = YOUNG;
    (0..2).for_each(|number| _ = world.send("alice", busy, &format!("young {number}")));
    assert_eq!(view(&world, "bob", busy).await.unread, 7);
    world.prune_all(Some(EDGE));
    let now = view(&world, "bob", busy).await;
    assert_eq!((now.unread, now.thread.sequence, now.thread.member_count), (2, Sequence(8), 2));
    assert_eq!(now.last_message.and_then(|message| message.content).as_deref(), Some("young 1"));
    assert_eq!(history(&world, "bob", busy).await, [Some("young 0".to_owned()), Some("young 1".to_owned())]);
    let empty = view(&world, "bob", quiet).await;
    assert_eq!((empty.unread, empty.last_message, empty.thread.sequence), (0, None, Sequence(6)));
    assert!(history(&world, "bob", quiet).await.is_empty());
    let (threads, _) = world.store.reads.threads(user("bob"), None, 10).await.expect("an answer").expect("a page");
    assert_eq!(threads.iter().map(|view| view.thread.thread_id).collect::<Vec<_>>(), [busy, quiet]);
    assert_eq!(world.send("bob", quiet, "again").sequence, Sequence(7));
    assert_eq!(world.read("alice", quiet, 7), 0);
}

#[actix_web::test]
async fn a_message_goes_with_the_last_event_that_tells_of_it() {
    let mut world = World::new(&["alice"]);
    let thread = world.thread("alice", &[]);
    let (edited, deleted) = (world.send("alice", thread, "old"), world.send("alice", thread, "old"));
    world.now = YOUNG;
    world.edit("alice", edited.message_id, "new");
    world.delete("alice", deleted.message_id);
    let end = world.send("alice", thread, "end");
    world.prune_all(Some(EDGE));
    assert_eq!(history(&world, "alice", thread).await, [Some("new".to_owned()), None, Some("end".to_owned())]);
    let kept = page(&world, "alice", 3).await;
    assert_eq!(kept.events.len(), 3, "the events that tell of them can be read: {kept:?}");
    world.now = Time(20_000);
    world.send("alice", thread, "latest");
    world.prune_all(Some(Time(10_000)));
    assert_eq!(history(&world, "alice", thread).await, [Some("latest".to_owned())]);
    assert!(world.store.reads.message(user("alice"), end.message_id).await.expect("an answer").is_none());
}

#[test]
fn one_transaction_takes_a_bounded_number_of_rows() {
    let mut world = World::new(&["alice"]);
    let thread = world.thread("alice", &[]);
    (0..700).for_each(|_| _ = world.send("alice", thread, "x"));
    let takes: Vec<(u64, bool)> = std::iter::from_fn(|| Some(world.prune(Some(EDGE)))).take(4).collect();
    assert_eq!(takes, [(ROWS, true), (ROWS, true), (700 - 2 * ROWS, false), (0, false)]);
}

#[test]
fn what_a_large_deleted_thread_said_is_shown_to_nobody_and_erased_a_part_at_a_time() {
    let mut world = World::new(&["alice", "bob"]);
    let thread = world.thread("alice", &["bob"]);
    (0..600).for_each(|_| _ = world.send("alice", thread, "secret"));
    world.send_with_key("bob", Some("k"), thread, "secret");
    world.now = YOUNG;
    world.act("alice", None, Act::DeleteThread { thread }).expect("a deletion");
    let left = |world: &World| world.count("messages WHERE content IS NOT NULL OR deleted_at IS NULL");
    assert_eq!(left(&world), 601 - ROWS);
    let (retried, duplicate) = world.send_with_key("bob", Some("k"), thread, "secret");
    assert_eq!((retried.content, retried.deleted_at, duplicate), (None, Some(YOUNG), true));
    assert_eq!((world.prune(None), left(&world)), ((0, true), 601 - 2 * ROWS));
    world.prune_all(None);
    assert_eq!((left(&world), world.count("threads WHERE to_erase = 1"), world.count("messages")), (0, 0, 601));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Create,
    Send(usize),
    Edit(usize),
    Delete(usize),
    Add(usize),
    Remove(usize),
    End(usize),
    /// Time passes, and only one of the two worlds prunes.
    Prune,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Create),
        6 => (0..9usize).prop_map(Step::Send),
        2 => (0..40usize).prop_map(Step::Edit),
        2 => (0..40usize).prop_map(Step::Delete),
        2 => (0..9usize).prop_map(Step::Add),
        2 => (0..9usize).prop_map(Step::Remove),
        1 => (0..9usize).prop_map(Step::End),
        2 => Just(Step::Prune),
    ]
}

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

#[derive(Default)]
struct Known {
    threads: Vec<ThreadId>,
    messages: Vec<MessageId>,
}

/// Who does it depends on the number, so that refusals come too.
fn act(step: Step, known: &Known) -> Option<(&'static str, Act)> {
    let thread = |n: usize| known.threads.get(n % known.threads.len().max(1)).copied();
    let message = |n: usize| known.messages.get(n % known.messages.len().max(1)).copied();
    let who = |n: usize| NAMES[n % 3];
    Some(match step {
        Step::Create => ("alice", Act::CreateThread { title: None, members: vec![user("bob")] }),
        Step::Send(n) => (who(n), Act::Send { thread: thread(n / 3)?, draft: draft("said") }),
        Step::Edit(n) => (who(n), Act::EditMessage { message: message(n)?, content: content(&n.to_string()) }),
        Step::Delete(n) => (who(n), Act::DeleteMessage { message: message(n)? }),
        Step::Add(n) => ("alice", Act::AddMember { thread: thread(n / 3)?, user: user(who(n)) }),
        Step::Remove(n) => ("alice", Act::RemoveMember { thread: thread(n / 3)?, user: user(who(n)) }),
        Step::End(n) => ("alice", Act::DeleteThread { thread: thread(n)? }),
        Step::Prune => return None,
    })
}

async fn events(world: &World, name: &str, after: u64) -> Vec<Event> {
    page(world, name, after).await.events
}

proptest! {
    // Each case makes two stores: fewer than of what costs nothing.
    #![proptest_config(ProptestConfig::with_cases((ProptestConfig::default().cases / 8).max(1)))]

    #[test]
    fn a_pruned_store_goes_on_as_one_that_keeps_everything(steps in prop::collection::vec(step(), 1..60)) {
        let (mut whole, mut pruned, mut known) = (World::new(&NAMES), World::new(&NAMES), Known::default());
        for step in steps {
            let Some((by, act)) = act(step, &known) else {
                whole.now = whole.now.plus(std::time::Duration::from_secs(1));
                pruned.now = whole.now;
                pruned.prune_all(Some(whole.now));
                // Of what is gone the two worlds would speak differently.
                known.messages.retain(|message| pruned.count(&format!("messages WHERE hex(message_id) = '{:X}'", message.0.simple())) == 1);
                continue;
            };
            let (one, other) = (whole.act(by, None, act.clone()), pruned.act(by, None, act));
            match &one {
                Ok(Done::Thread { view, .. }) => known.threads.push(view.thread.thread_id),
                Ok(Done::Message { message, duplicate: false }) if !known.messages.contains(&message.message_id) => {
                    known.messages.push(message.message_id);
                }
                _ => {}
            }
            prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
        }
        actix_web::rt::System::new().block_on(async {
            let (floor, head) = (kept_from(pruned.connection()).expect("a number"), whole.count("events"));
            prop_assert_eq!(pruned.count("events"), if head == 0 { 0 } else { head + 1 - floor });
            for name in NAMES {
                for after in floor.saturating_sub(1)..=head {
                    prop_assert_eq!(events(&whole, name, after).await, events(&pruned, name, after).await);
                    prop_assert!(!page(&pruned, name, after).await.pruned);
                }
            }
            // What is kept is held by something, and everything that is referred to is kept.
            let orphans = "messages m WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.message_position = m.position)";
            prop_assert_eq!(pruned.count(orphans), 0);
            let dangling = "events e WHERE e.message_position IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.position = e.message_position)";
            prop_assert_eq!(pruned.count(dangling), 0);
            Ok(())
        })?;
    }
}
