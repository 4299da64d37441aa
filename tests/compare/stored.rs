//! Messages a second that are stored and acknowledged, `synchronous=FULL`, against a bare loop with the same statements on a file of
//! the same tables: by wall clock with all cores, as the target says, and by the time of the one thread that writes.

use std::time::Instant;

use crate::{
    Scale,
    bare_log::BareLog,
    cpu,
    crowd::{ACK, Crowd, Size},
    sides::{Kind, Server},
    table::{Line, median, number},
};

/// Users, each with a thread of its own, so that what is measured is storing and not delivering.
const USERS: usize = 64;
/// Messages that wait for their acknowledgement: what the server's writer can take at once, and as much again.
const ON_THEIR_WAY: u64 = 1_024;

pub async fn run(scale: Scale) -> Vec<Line> {
    let server = Server::on_all_cores(Kind::Hailgate, &[]);
    let crowd = Crowd::gather(&server, Size { connections: USERS, room: 1 }, ACK, "").await;
    let mut bare = BareLog::like_ours(USERS);
    let count = scale.pick(30_000, 300);
    crowd.say(count / 10, ON_THEIR_WAY).await;
    bare.store(count / 10);
    let (mut rates, mut own) = ([Vec::new(), Vec::new()], Vec::new());
    for _ in 0..scale.pick(5, 1) {
        let (began, before) = (Instant::now(), writer(server.pid));
        crowd.say(count, ON_THEIR_WAY).await;
        rates[0].push(number(count) / began.elapsed().as_secs_f64());
        own.push(number((writer(server.pid) - before) / 1_000) / number(count));
        let began = Instant::now();
        bare.store(count);
        rates[1].push(number(count) / began.elapsed().as_secs_f64());
    }
    let [ours, loops] = rates.map(median);
    vec![Line {
        what: format!("messages stored and acknowledged a second, SQLite FULL, {ON_THEIR_WAY} on their way"),
        target: ">= 0.8 of a bare loop",
        ours: format!(
            "{ours:.0} a second, {:.2} of the loop; {:.1} us of its writing thread each",
            ours / loops,
            median(own)
        ),
        beside: format!("bare rusqlite loop, batches of {}: {loops:.0} a second", BareLog::BATCH),
        command: "stored",
    }]
}

/// Nanoseconds that the thread which writes was on a processor.
fn writer(pid: u32) -> u64 {
    cpu::threads(pid).into_iter().filter(|(name, _)| name == "writer").map(|(_, time)| time).sum()
}
