//! Clients that never read: what the server holds for them is bounded, they are cut, nobody else notices, and they come
//! back to everything.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::{
    ledger::FAST,
    people::{Person, text},
    raw::Raw,
    server::Server,
    socket::Socket,
    within,
};

/// The outbox of these tests, in bytes: less than the default, so that it fills in less time.
const OUTBOX: u64 = 256 * 1024;
/// What the server may hold for a connection beside its outbox, in bytes: what the library has encoded of the frames it
/// took (64 KiB and one frame, in a buffer that doubles), the actors, and what the allocator keeps.
const BESIDE: u64 = 512 * 1024;
/// What the process grows by on its own meanwhile, in bytes: pages that SQLite's connections keep, freed memory that the
/// allocator keeps. Less than half of what a queue without bound would hold in these tests.
const NOISE: u64 = 3 * 1024 * 1024;
/// A slow reader is cut this long after its outbox was full; the rest is the machine's, and less than the heartbeat here.
const CUT: Duration = Duration::from_secs(1);
const SLACK: Duration = Duration::from_secs(60);

fn server() -> Server {
    let outbox = OUTBOX.to_string();
    let own = [
        ("HAILGATE_LIMIT_OUTBOX_BYTES", outbox.as_str()),
        ("HAILGATE_LIMIT_CONNECTIONS_USER", "200"),
        // No ping comes in between: this is about readers, not about the dead.
        ("HAILGATE_LIMIT_HEARTBEAT_MS", "600000"),
    ];
    Server::new(&[&FAST[..], &own[..]].concat())
}

/// A client with a receive buffer as small as the system gives, which has read the first frame and reads no further.
struct Unread {
    raw: Raw,
    address: SocketAddr,
    cursor: String,
}

impl Unread {
    /// Connected, with nothing asked yet.
    async fn connect(server: &Server) -> Unread {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("a small buffer");
        let stream = socket.connect(([127, 0, 0, 1], server.port).into()).await.expect("a connection");
        let address = stream.local_addr().expect("an address");
        Unread { raw: Raw::over(stream), address, cursor: String::new() }
    }

    /// A socket that has read its first frame.
    async fn socket(server: &Server, person: &Person) -> Unread {
        let mut unread = Unread::connect(server).await;
        let hello = unread.raw.upgrades(person.token()).await;
        text(&hello, "cursor").clone_into(&mut unread.cursor);
        unread
    }

    /// A stream of server-sent events that has read its head.
    async fn stream(server: &Server, person: &Person) -> Unread {
        let mut unread = Unread::connect(server).await;
        let (cursor, token) = (text(&person.get("/api/threads").await.json(200), "cursor").to_owned(), person.token());
        let asked = format!(
            "GET /api/events?since={cursor} HTTP/1.1\r\nHost: chat.test\r\nAuthorization: Bearer {token}\r\n\
             Accept: text/event-stream\r\n\r\n"
        );
        unread.raw.send(asked).await;
        assert_eq!(unread.raw.head().await.status, 200);
        unread.cursor = cursor;
        unread
    }
}

/// The ports of the clients that the server holds established connections with: the system's table, line by line
/// `sl local remote state`, addresses in hex.
fn held(server: &Server) -> Vec<u16> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the table of connections");
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    let held = table.lines().skip(1).filter_map(|line| {
        let [_, local, remote, state] = line.split_whitespace().take(4).collect::<Vec<_>>().try_into().ok()?;
        (port(local) == Some(server.port) && state == "01").then(|| port(remote))?
    });
    held.collect()
}

/// Says something large, which a reader hears, then something small; how long the small one took from the one to the other.
async fn echo(by: &mut Socket, reader: &mut Socket, thread: &str) -> Duration {
    by.say(thread, &"\u{1f600}".repeat(8_000)).await;
    reader.expect("message.created").await;
    let began = Instant::now();
    by.say(thread, "small").await;
    let heard = reader.expect("message.created").await;
    assert_eq!(heard["data"]["content"], "small");
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Echoes of one measure.
const ECHOES: u64 = 50;

/// The sequence of a thread's last event after so many measures.
fn said(measures: u64) -> u64 {
    1 + 2 * ECHOES * measures
}

/// How long an echo takes among so many connections of somebody who reads everything.
async fn among_readers(
    server: &Server,
    person: &Person,
    many: usize,
    by: &mut Socket,
    reader: &mut Socket,
    thread: &str,
) -> Duration {
    let mut reading = tokio::task::JoinSet::new();
    for _ in 0..many {
        let mut raw = Raw::socket(server.port, person.token()).await;
        reading.spawn(async move { tokio::io::copy(&mut raw.stream, &mut tokio::io::sink()).await });
    }
    let mut times = Vec::new();
    for _ in 0..ECHOES {
        times.push(echo(by, reader, thread).await);
    }
    reading.shutdown().await;
    median(times)
}

/// Everything after a cursor, up to this sequence, each once and in order.
async fn comes_back(person: &Person, cursor: &str, from: u64, to: u64) {
    let mut socket = person.resume(cursor).await;
    assert_eq!(socket.hello["resumed"], json!(true));
    for sequence in from..=to {
        let event = socket.event().await.json;
        assert_eq!(event["sequence"], sequence, "{}", event["type"]);
    }
    let caught_up: Value = socket.next("caught_up").await;
    assert_eq!(caught_up["data"]["events"], to + 1 - from);
}

#[derive(Debug, Clone, Copy)]
enum Transport {
    Socket,
    Stream,
}

/// One that never reads costs an outbox, is cut, and comes back to everything.
async fn never_reads(transport: Transport) {
    const HALF: usize = 300;
    let server = server();
    let (alice, bob, carol) = (server.person(), server.person(), server.person());
    let thread = alice.thread(&[&bob, &carol]).await;
    let (mut of_alice, mut of_carol) = (alice.socket().await, carol.socket().await);
    // As much as will be said later, so that what the server grows to by itself is not counted.
    for _ in 0..HALF {
        echo(&mut of_alice, &mut of_carol, &thread).await;
    }
    let mut unread = match transport {
        Transport::Socket => Unread::socket(&server, &bob).await,
        Transport::Stream => Unread::stream(&server, &bob).await,
    };
    let before = server.resident_kib();
    let mut most = 0;
    for _ in 0..HALF {
        echo(&mut of_alice, &mut of_carol, &thread).await;
        most = most.max(server.resident_kib().saturating_sub(before));
    }
    println!("{transport:?}: at most {most} KiB more for one that does not read");
    assert!(most * 1024 <= OUTBOX + BESIDE + NOISE, "{most} KiB for one that does not read");
    within(CUT + SLACK, "the cut", async {
        while held(&server).contains(&unread.address.port()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // What the system still holds comes, less than all, and then the connection ends.
    assert!(unread.raw.rest().await.len() < HALF * 32_000);
    let said = 2 * HALF as u64;
    comes_back(&bob, &unread.cursor, said + 2, 2 * said + 1).await;
}

#[tokio::test]
async fn a_socket_that_is_never_read_costs_an_outbox_is_cut_and_its_cursor_brings_everything() {
    never_reads(Transport::Socket).await;
}

#[tokio::test]
async fn a_stream_that_is_never_read_costs_an_outbox_is_cut_and_its_cursor_brings_everything() {
    never_reads(Transport::Stream).await;
}

#[tokio::test]
async fn a_hundred_that_never_read_at_once_are_bounded_and_everybody_else_hears_everything() {
    const MANY: usize = 100;
    let server = server();
    let (alice, bob, carol) = (server.person(), server.person(), server.person());
    let thread = alice.thread(&[&bob, &carol]).await;
    let (mut of_alice, mut of_carol) = (alice.socket().await, carol.socket().await);
    let usual = among_readers(&server, &bob, MANY, &mut of_alice, &mut of_carol, &thread).await;
    let mut many = Vec::new();
    for _ in 0..MANY {
        many.push(Unread::socket(&server, &bob).await);
    }
    let before = server.resident_kib();
    let (mut most, mut sequence, mut times) = (0, said(1), Vec::new());
    let mut last = Instant::now();
    loop {
        let here = held(&server);
        if !many.iter().any(|unread| here.contains(&unread.address.port())) {
            break;
        }
        assert!(sequence < 2_000 || last.elapsed() < CUT + SLACK, "some are still held");
        if sequence < 2_000 {
            times.push(echo(&mut of_alice, &mut of_carol, &thread).await);
            sequence += 2;
            last = Instant::now();
        }
        most = most.max(server.resident_kib().saturating_sub(before));
    }
    let (cut_at, among) = (sequence, median(times));
    // Told, not judged: how busy the machine is decides. Before and after, because it is not equally busy all the time.
    let usual = usual.max(among_readers(&server, &bob, MANY, &mut of_alice, &mut of_carol, &thread).await);
    println!("at most {most} KiB more for {MANY}, cut at {cut_at}; an echo takes {among:?}, among readers {usual:?}");
    assert!(most * 1024 <= MANY as u64 * (OUTBOX + BESIDE) + NOISE, "{most} KiB for {MANY} that do not read");
    for unread in many.iter().take(10) {
        comes_back(&bob, &unread.cursor, said(1) + 1, cut_at + 2 * ECHOES).await;
    }
}
