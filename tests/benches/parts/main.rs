//! What the parts of a message's way cost, each alone and in this process: reading its frame, storing it, sealing it, and
//! handing it to a thousand who listen. What the whole way costs is measured from outside.
//!
//!     cargo bench --bench parts
//!     cargo bench --bench parts -- writer
//!
//! Criterion's figures come first; then a table of the store beside a bare loop of SQLite, by turns.

mod fan_out;
mod frames;
mod sealing;
mod writer;

use criterion::Criterion;
use hailgate::domain::{Event, Fact, Message, MessageId, Position, Sequence, ThreadId, Time, UserId};
use uuid::Uuid;

fn main() {
    let small = std::env::args().any(|argument| argument == "--test");
    let wanted = |part: &str| {
        let mut filters = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
        filters.peek().is_none() || filters.any(|filter| filter.starts_with(part))
    };
    let mut criterion = Criterion::default().configure_from_args();
    sealing::measure(&mut criterion);
    frames::measure(&mut criterion);
    fan_out::measure(&mut criterion);
    writer::measure(&mut criterion);
    criterion.final_summary();
    if wanted("writer") {
        writer::table(if small { 2 } else { 200 });
    }
}

/// Bytes of text in a message: a sentence, and a long paste.
const LENGTHS: [usize; 2] = [120, 4_096];

fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a user id")
}

fn thread() -> ThreadId {
    ThreadId(Uuid::from_u128(0x0190_c4f2_8b1c_7d3a_9f1e_2b6c_8d4e_5f60))
}

/// Text with what JSON has to escape now and then, and a letter that is none of ASCII's.
fn text(bytes: usize) -> String {
    let sentence = "She said \"later\", and the café was closing.\n";
    let mut text: String = sentence.chars().cycle().take(bytes).collect();
    while text.len() > bytes {
        text.pop();
    }
    text
}

/// A message that was posted.
fn posted(position: u64, bytes: usize) -> Event {
    let (thread, at, by) = (thread(), Time(1_780_000_000_000), user("alice"));
    let message = Message {
        message_id: MessageId(Uuid::from_u128(u128::from(position) << 64)),
        thread,
        author: by.clone(),
        content: Some(text(bytes)),
        metadata: None,
        client_message_id: Some("0190c4f2-8b1c-7d3a-9f1e-2b6c8d4e5f61".to_owned()),
        sequence: Sequence(position),
        created_at: at,
        edited_at: None,
        deleted_at: None,
    };
    let sequence = Sequence(position);
    Event { position: Position(position), mark: 7, thread, sequence, at, by, fact: Fact::MessageCreated(message) }
}
