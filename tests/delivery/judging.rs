//! The checker itself: a record in which everything is right is clean, and each fault that is planted into it is found and
//! named with user, thread and sequence.

use serde_json::json;

use crate::{
    checker::{
        Acknowledged, Breach, Court, Event, Fact, Fault, Follower, History, Kept, Message, Name, Names, Record, Row, Step,
        Stream, Tenure, Verdict, judge,
    },
    dice::Dice,
};

const SEQUENCES: u64 = 12;

/// What happens at each sequence of thread `t`: bob leaves at 6 and is back at 9; carol comes at 4; the rest are messages.
fn fact(sequence: u64) -> Fact {
    match sequence {
        1 => Fact::Created,
        4 => Fact::Joined("carol".into()),
        6 => Fact::Left("bob".into()),
        9 => Fact::Joined("bob".into()),
        11 => Fact::Other,
        _ => Fact::Posted(message(sequence)),
    }
}

fn message(sequence: u64) -> Message {
    Message { id: u128::from(sequence) * 1_000, body: Some(sequence) }
}

fn heard(sequence: u64) -> Step {
    Step::Heard { event: Event { thread: "t".into(), sequence, fact: fact(sequence) }, handed_on: true }
}

fn dropped(sequence: u64) -> Step {
    Step::Heard { event: Event { thread: "t".into(), sequence, fact: fact(sequence) }, handed_on: false }
}

fn loaded(after: u64, through: u64) -> Step {
    let messages = (after + 1..=through).filter_map(|sequence| match fact(sequence) {
        Fact::Posted(message) => Some((sequence, message)),
        _ => None,
    });
    Step::Loaded { thread: "t".into(), after, through, messages: messages.collect() }
}

fn tenure(user: &str, from: u64, until: Option<u64>) -> Tenure {
    Tenure { user: user.into(), thread: "t".into(), from, until }
}

fn stream(user: &str, steps: Vec<Step>) -> Stream {
    Stream { user: user.into(), steps }
}

/// Alice hears everything, some of it twice on the wire; bob was away when he was removed; carol comes later; alice's
/// second device had to load.
fn good() -> Record {
    let alice: Vec<Step> = [loaded(0, 1)].into_iter().chain((2..=SEQUENCES).map(heard)).collect();
    let mut on_the_wire = alice.clone();
    on_the_wire.insert(7, dropped(3));
    on_the_wire.insert(8, dropped(7));
    let bob = [loaded(0, 1), heard(2), heard(6), heard(9), loaded(0, 10), heard(10), heard(11), heard(12)];
    let carol = [heard(4), loaded(0, 5)].into_iter().chain((5..=SEQUENCES).map(heard));
    let reloaded = [loaded(0, 1), heard(2), heard(3), Step::Reset, loaded(3, 10), dropped(9), heard(11), heard(12)];
    let posted = (1..=SEQUENCES).filter(|sequence| matches!(fact(*sequence), Fact::Posted(_)));
    let row = |sequence| Row {
        sequence,
        message: message(sequence),
        author: "alice".into(),
        key: Some(format!("key {sequence}").into()),
    };
    let rows: Vec<Row> = posted.map(row).collect();
    let told = rows.iter().map(|row| Acknowledged {
        sender: Name::clone(&row.author),
        thread: "t".into(),
        message: row.message.clone(),
        key: row.key.clone(),
        sequence: row.sequence,
    });
    let mut acknowledged: Vec<Acknowledged> = told.collect();
    acknowledged.push(acknowledged[0].clone());
    Record {
        acknowledged,
        tenures: vec![tenure("alice", 1, None), tenure("bob", 1, Some(6)), tenure("bob", 9, None), tenure("carol", 4, None)],
        streams: vec![
            stream("alice", on_the_wire),
            stream("bob", bob.to_vec()),
            stream("carol", carol.collect()),
            stream("alice", reloaded.to_vec()),
            stream("eve", Vec::new()),
        ],
        histories: vec![History { thread: "t".into(), head: SEQUENCES, after: 0, rows }],
    }
}

#[test]
fn a_record_in_which_everything_is_right_is_clean() {
    let verdict = judge(&good());
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!((verdict.acknowledged, verdict.rows, verdict.repeated, verdict.resets), (7, 7, 3, 1), "{verdict}");
    assert_eq!(verdict.handed_on, 11 + 6 + 9 + 4, "{verdict}");
}

type Plant = fn(&mut Record);

/// A fault, how it is planted, and how it must be named.
const FAULTS: &[(&str, Plant, Breach, &str, u64)] = &[
    ("an acknowledged message is not in the history", |r| drop(r.histories[0].rows.remove(3)), Breach::Lost, "alice", 7),
    ("the history has another message there", |r| r.histories[0].rows[2].message.id = 1, Breach::Lost, "alice", 5),
    ("a thread has no history", |r| r.histories.clear(), Breach::Lost, "alice", 2),
    ("an event never came", |r| drop(r.streams[0].steps.remove(4)), Breach::Lost, "alice", 5),
    ("the last event never came", |r| drop(r.streams[2].steps.pop()), Breach::Lost, "carol", 12),
    ("a device of a member saw nothing", |r| r.streams[2].steps.clear(), Breach::Lost, "carol", 4),
    ("who was removed was not told", |r| drop(r.streams[1].steps.remove(2)), Breach::Lost, "bob", 6),
    ("a loaded page lacks a message", |r| pages(r, 3, 4).truncate(2), Breach::Lost, "alice", 8),
    ("a newcomer's page lacks a message", |r| pages(r, 2, 1).truncate(1), Breach::Lost, "carol", 3),
    ("a key made two messages", |r| r.histories[0].rows[4].key = Some("key 2".into()), Breach::Doubled, "alice", 8),
    ("a retry was told another message", |r| r.acknowledged[7].message.id = 77, Breach::Doubled, "alice", 2),
    (
        "a row came twice",
        |r| {
            let row = r.histories[0].rows[1].clone();
            r.histories[0].rows.insert(2, row);
        },
        Breach::Doubled,
        "alice",
        3,
    ),
    ("an event was handed on twice", |r| r.streams[0].steps.insert(5, heard(4)), Breach::Doubled, "alice", 4),
    ("an event was handed on twice, much later", |r| r.streams[1].steps.push(heard(10)), Breach::Doubled, "bob", 10),
    ("two events changed places", |r| r.streams[2].steps.swap(3, 4), Breach::Disordered, "carol", 6),
    (
        "an event came too late and was dropped",
        |r| r.streams[0].steps[4..6].clone_from_slice(&[heard(6), dropped(5)]),
        Breach::Disordered,
        "alice",
        5,
    ),
    ("two rows changed places", |r| r.histories[0].rows.swap(0, 1), Breach::Disordered, "alice", 2),
    ("a hole nobody told of", |r| drop(r.streams[0].steps.remove(2)), Breach::Hole, "alice", 4),
    ("a hole hidden by loading", |r| drop(r.streams[3].steps.remove(3)), Breach::Hole, "alice", 11),
    ("a newcomer begins in the middle", |r| drop(r.streams[2].steps.drain(..2)), Breach::Hole, "carol", 5),
    ("an event of a stranger's thread", |r| r.streams[4].steps.push(heard(2)), Breach::Foreign, "eve", 2),
    ("an event from before joining", |r| r.streams[2].steps.insert(0, heard(3)), Breach::Foreign, "carol", 3),
    ("an event from after leaving", |r| r.streams[1].steps.insert(3, heard(7)), Breach::Foreign, "bob", 7),
    ("an event from after leaving, dropped", |r| r.streams[1].steps.insert(5, dropped(8)), Breach::Foreign, "bob", 8),
    ("a stranger could load the thread", |r| r.streams[4].steps.push(loaded(0, 5)), Breach::Foreign, "eve", 5),
    (
        "an event with another content",
        |r| event(r, 0, 2).fact = Fact::Posted(Message { id: 3_000, body: Some(9) }),
        Breach::Altered,
        "alice",
        3,
    ),
    ("an event with another message", |r| event(r, 0, 2).fact = Fact::Posted(message(5)), Breach::Altered, "alice", 3),
    ("an event of another kind", |r| event(r, 2, 8).fact = Fact::Ended, Breach::Altered, "carol", 11),
    ("an acknowledgement with another content", |r| r.acknowledged[2].message.body = Some(0), Breach::Altered, "alice", 5),
    ("a row with another author", |r| r.histories[0].rows[5].author = "bob".into(), Breach::Altered, "alice", 10),
    ("a row without its key", |r| r.histories[0].rows[5].key = None, Breach::Altered, "alice", 10),
    ("a loaded page with another content", |r| pages(r, 3, 4)[0].1.body = Some(0), Breach::Altered, "alice", 5),
    ("a row beyond the end", |r| r.histories[0].head = 11, Breach::Altered, "alice", 12),
];

fn pages(record: &mut Record, stream: usize, step: usize) -> &mut Vec<(u64, Message)> {
    match &mut record.streams[stream].steps[step] {
        Step::Loaded { messages, .. } => messages,
        other => panic!("{other:?}"),
    }
}

fn event(record: &mut Record, stream: usize, step: usize) -> &mut Event {
    match &mut record.streams[stream].steps[step] {
        Step::Heard { event, .. } => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_planted_fault_is_found_and_named() {
    for (what, plant, breach, user, sequence) in FAULTS {
        let mut record = good();
        plant(&mut record);
        let verdict = judge(&record);
        let named =
            |fault: &Fault| (fault.breach, &*fault.user, &*fault.thread, fault.sequence) == (*breach, *user, "t", *sequence);
        assert!(verdict.faults.iter().any(named), "{what}: {verdict}");
        assert!(verdict.count(*breach) > 0 && !verdict.is_clean(), "{what}: {verdict}");
        let line = format!("{}: user {user}, thread t, sequence {sequence}: ", breach.name());
        assert!(verdict.to_string().contains(&line), "{what}: {verdict}");
    }
    for breach in Breach::ALL {
        assert!(FAULTS.iter().any(|(_, _, planted, ..)| *planted == breach), "nothing plants {breach:?}");
    }
}

/// The same, told as it happened: acknowledgements, what the devices saw by turns, and the histories at the end.
fn as_it_happened(record: &Record, kept: Kept) -> Verdict {
    let mut court = Court::new(kept);
    record.acknowledged.iter().for_each(|ack| court.acknowledged(ack));
    let mut devices: Vec<_> =
        record.streams.iter().map(|stream| (Follower::new(&stream.user, &record.tenures), stream.steps.iter())).collect();
    let mut more = true;
    while std::mem::take(&mut more) {
        for (follower, steps) in &mut devices {
            if let Some(step) = steps.next() {
                court.step(follower, step);
                more = true;
            }
        }
    }
    record.histories.iter().for_each(|history| court.history(history));
    devices.into_iter().for_each(|(follower, _)| court.end(follower));
    court.verdict()
}

#[test]
fn what_is_told_as_it_happens_is_judged_like_what_was_written_down() {
    let verdict = as_it_happened(&good(), Kept::ALL);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(verdict.to_string(), judge(&good()).to_string());
    for (what, plant, breach, user, sequence) in FAULTS {
        let mut record = good();
        plant(&mut record);
        let verdict = as_it_happened(&record, Kept::ALL);
        let named =
            |fault: &Fault| (fault.breach, &*fault.user, &*fault.thread, fault.sequence) == (*breach, *user, "t", *sequence);
        assert!(verdict.faults.iter().any(named), "{what}: {verdict}");
    }
}

#[test]
fn a_court_that_keeps_little_still_names_what_is_lost_doubled_and_altered() {
    let kept = Kept { events: 8, keys: 8 };
    let newest = |mut record: Record| {
        let history = &mut record.histories[0];
        history.after = 4_990;
        history.rows.retain(|row| row.sequence > 4_990);
        let other = Stream { user: "alice".into(), ..record.streams[0].clone() };
        record.tenures.push(tenure("alice", 1, None));
        record.streams.push(other);
        record
    };
    let clean = as_it_happened(&newest(long(5_000)), kept);
    assert!(clean.is_clean(), "{clean}");
    let mut record = newest(long(5_000));
    let steps = &mut record.streams[0].steps;
    steps[99] =
        Step::Heard { event: Event { thread: "t".into(), sequence: 100, fact: Fact::Posted(message(5)) }, handed_on: true };
    let again = steps[200].clone();
    steps.insert(205, again);
    steps.remove(3_000);
    let verdict = as_it_happened(&record, kept);
    for (breach, count) in [(Breach::Lost, 1), (Breach::Hole, 1), (Breach::Doubled, 1), (Breach::Altered, 1)] {
        assert_eq!(verdict.count(breach), count, "{breach:?}: {verdict}");
    }
}

/// A device that hears everything of a long thread.
fn long(sequences: u64) -> Record {
    let fact = |sequence| if sequence == 1 { Fact::Created } else { Fact::Posted(message(sequence)) };
    let heard =
        |sequence| Step::Heard { event: Event { thread: "t".into(), sequence, fact: fact(sequence) }, handed_on: true };
    let row = |sequence| Row { sequence, message: message(sequence), author: "alice".into(), key: None };
    Record {
        tenures: vec![tenure("bob", 1, None)],
        streams: vec![stream("bob", (1..=sequences).map(heard).collect())],
        histories: vec![History { thread: "t".into(), head: sequences, after: 0, rows: (2..=sequences).map(row).collect() }],
        ..Record::default()
    }
}

#[test]
fn wherever_one_event_is_missing_or_doubled_exactly_that_one_is_named() {
    assert!(judge(&long(500)).is_clean());
    let mut dice = Dice::new(7);
    for _ in 0..200 {
        let at = dice.below(500);
        let place = usize::try_from(at).expect("small");
        let mut lost = long(500);
        lost.streams[0].steps.remove(place);
        let verdict = judge(&lost);
        assert_eq!((verdict.count(Breach::Lost), verdict.count(Breach::Doubled)), (1, 0), "{verdict}");
        let fault = verdict.faults.iter().find(|fault| fault.breach == Breach::Lost).expect("a loss");
        assert_eq!(fault.sequence, at + 1);
        let mut doubled = long(500);
        let again = doubled.streams[0].steps[place].clone();
        doubled.streams[0].steps.insert(place + 1, again);
        let verdict = judge(&doubled);
        assert_eq!((verdict.faults.len(), verdict.faults[0].sequence), (1, at + 1), "{verdict}");
        assert_eq!(verdict.faults[0].breach, Breach::Doubled);
    }
}

#[test]
fn a_report_of_very_many_faults_stays_short_and_counts_them_all() {
    let mut record = long(5_000);
    record.streams[0].steps.clear();
    let verdict = judge(&record);
    assert_eq!((verdict.count(Breach::Lost), verdict.faults.len()), (5_000, 1_000));
    let report = verdict.to_string();
    assert!(report.lines().count() < 30 && report.ends_with("and 4980 more"), "{report}");
}

#[test]
fn what_a_server_sends_is_read_as_it_is_meant() {
    let mut names = Names::default();
    let shown = json!({
        "message_id": "0190c4f2-8b1c-7d3a-9f1e-2b6c8d4e5f60", "thread_id": "t", "author": "alice", "content": "x",
        "metadata": null, "client_message_id": "k", "sequence": 3, "created_at": "2026-01-01T00:00:00.000Z",
    });
    let row = names.row(&shown).expect("a row");
    assert_eq!((row.sequence, &*row.author, row.key.as_deref()), (3, "alice", Some("k")));
    assert_eq!(row.message.id, 0x0190_c4f2_8b1c_7d3a_9f1e_2b6c_8d4e_5f60);
    let told = names.acknowledged(&shown).expect("an acknowledgement");
    assert_eq!((&*told.thread, &told.message), ("t", &row.message));
    let mut frame = json!({"type": "message.created", "thread_id": "t", "sequence": 3, "data": shown});
    let event = names.event(&frame).expect("an event");
    assert_eq!(event, Event { thread: "t".into(), sequence: 3, fact: Fact::Posted(row.message.clone()) });
    assert!(std::sync::Arc::ptr_eq(&event.thread, &told.thread), "equal names are one");
    frame["data"]["edited_at"] = json!("2026-01-01T00:00:01.000Z");
    let edited = names.event(&frame).map(|event| event.fact);
    assert_eq!(edited, Some(Fact::Posted(Message { body: None, ..row.message.clone() })));
    frame["data"]["content"] = json!(null);
    assert_eq!(names.event(&frame).map(|event| event.fact), Some(Fact::Posted(Message { body: None, ..row.message })));
    for (kind, data, fact) in [
        ("thread.member_added", json!({"user_id": "bob", "name": "Bob"}), Fact::Joined("bob".into())),
        ("thread.member_removed", json!({"user_id": "bob", "name": "Bob"}), Fact::Left("bob".into())),
        ("thread.created", json!({}), Fact::Created),
        ("thread.deleted", json!({}), Fact::Ended),
        ("message.edited", json!({}), Fact::Other),
    ] {
        let frame = json!({"type": kind, "thread_id": "t", "sequence": 3, "data": data});
        assert_eq!(names.event(&frame).map(|event| event.fact), Some(fact), "{kind}");
    }
    for other in [json!({"type": "pong"}), json!({"type": "typing", "data": {"thread_id": "t"}}), json!(5)] {
        assert_eq!(names.event(&other), None, "{other}");
    }
}
