//! How long a REST request waits on a worker that delivers to a room of 10,000 at the same time.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use crate::{
    Scale,
    crowd::{Crowd, EVENT, Size, times},
    http::{self, Http},
    sides::{self, Kind, Server, token, user},
    table::{Line, milliseconds, number},
};

/// Clients that ask in turn, so that no request waits for the answer to the one before it.
const CLIENTS: u32 = 16;
/// Between two requests, whether or not the first is answered.
const EVERY: Duration = Duration::from_millis(10);

pub async fn run(scale: Scale) -> Vec<Line> {
    let members = scale.pick(sides::connections_at_most(10_000), 200);
    let server = Server::start(Kind::Hailgate);
    let crowd = Crowd::gather(&server, Size { connections: members, room: members }, EVENT, "").await;
    crowd.say(2, 1).await;
    let began = Instant::now();
    let asking: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let ((stop, stopped), address) = (channel(), server.address.clone());
            (stop, std::thread::spawn(move || ask(&address, began + EVERY * number, &stopped)))
        })
        .collect();
    let broadcasts = scale.pick(100, 5);
    crowd.say(broadcasts, 1).await;
    let took = began.elapsed().as_secs_f64();
    let mut waits = times();
    for (stop, asking) in asking {
        drop(stop);
        waits.add(asking.join().expect("every request is answered")).expect("the same bounds");
    }
    vec![Line {
        what: format!("a REST request on the worker that delivers to a room of {members}, one broadcast after another"),
        target: "p99 <= 10 ms",
        ours: format!(
            "p50 {} ms, p99 {} ms, worst {} ms of {} requests",
            milliseconds(waits.value_at_quantile(0.5)),
            milliseconds(waits.value_at_quantile(0.99)),
            milliseconds(waits.max()),
            waits.len()
        ),
        beside: format!("{:.1} broadcasts a second meanwhile", number(broadcasts) / took),
        command: "fanout",
    }]
}

/// Asks at its times until it is told to stop; how long each answer took, from when it was due.
fn ask(address: &str, mut due: Instant, stopped: &Receiver<()>) -> Histogram<u64> {
    let (mut client, request) = (Http::connect(address), http::get("/api/auth/me", &token(&user(0))));
    let mut waits = times();
    while stopped.recv_timeout(due.saturating_duration_since(Instant::now())) == Err(RecvTimeoutError::Timeout) {
        client.ask(&request, "200");
        waits.saturating_record(u64::try_from(due.elapsed().as_nanos()).unwrap_or(u64::MAX));
        due += EVERY * CLIENTS;
    }
    waits
}
