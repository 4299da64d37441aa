//! Many clients of one server, in rooms: they connect, say things with so many on their way at once, and count what
//! arrives. All in one thread, each frame looked at once: far less work than any server has.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    io::ErrorKind,
    rc::Rc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::{
    net::TcpStream,
    sync::Notify,
    task::{JoinHandle, spawn_local},
};

use crate::{
    frames,
    http::{self, Http},
    sides::{Kind, Server, token, user},
};

/// How an event of a message begins.
pub const EVENT: &str = "{\"type\":\"message.created\"";
/// How an acknowledgement begins.
pub const ACK: &str = "{\"type\":\"ack\"";
/// What stands before the content of a message.
const CONTENT: &str = "\"content\":\"";
/// Digits of the moment at which a message was to be sent, with which its content begins.
const STAMP: usize = 20;
/// Characters of a message.
const CHARACTERS: usize = 100;
/// Connections that are being made at once.
const OPENING: usize = 64;
/// After so long without anything that was waited for, something is wrong.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What they say in a room: the moment stands between the two.
struct Words(String, String);

/// What is on its way in a room.
#[derive(Default)]
struct Room {
    /// Messages that all have.
    done: u64,
    /// How many have each of those after.
    reached: VecDeque<usize>,
}

/// What all readers share.
struct Shared {
    mark: &'static str,
    room_size: usize,
    rooms: RefCell<Vec<Room>>,
    /// Messages that all in their room have.
    done: Cell<u64>,
    /// The last that arrived.
    sample: RefCell<String>,
    latencies: RefCell<Option<Histogram<u64>>>,
    began: Instant,
    scratch: RefCell<Vec<u8>>,
    lost: Cell<bool>,
    wake: Notify,
}

/// See the module.
pub struct Crowd {
    shared: Rc<Shared>,
    sockets: Vec<Rc<TcpStream>>,
    listening: Vec<JoinHandle<()>>,
    words: Vec<Words>,
    said: Cell<usize>,
}

/// How many, and in rooms of how many.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub connections: usize,
    pub room: usize,
}

impl Crowd {
    /// Connects all, each as a user of its own; it counts what begins with `mark`. Those beside us repeat `sample`, an event
    /// of ours, so that all servers carry the same bytes.
    pub async fn gather(server: &Server, size: Size, mark: &'static str, sample: &str) -> Crowd {
        let rooms = size.connections / size.room;
        let shared = Rc::new(Shared {
            mark,
            room_size: size.room,
            rooms: RefCell::new((0..rooms).map(|_| Room::default()).collect()),
            done: Cell::new(0),
            sample: RefCell::default(),
            latencies: RefCell::new(None),
            began: Instant::now(),
            scratch: RefCell::new(vec![0; 256 * 1024]),
            lost: Cell::new(false),
            wake: Notify::new(),
        });
        let mut sockets = Vec::with_capacity(rooms * size.room);
        let mut listening = Vec::with_capacity(rooms * size.room);
        while sockets.len() < rooms * size.room {
            let next = sockets.len()..(sockets.len() + OPENING).min(rooms * size.room);
            let opening: Vec<_> = next.map(|number| spawn_local(open(request(server, number, size.room)))).collect();
            for opened in opening {
                let (stream, rest) = opened.await.expect("a socket");
                let stream = Rc::new(stream);
                let room = sockets.len() / size.room;
                listening.push(spawn_local(listen(Rc::clone(&stream), room, rest, Rc::clone(&shared))));
                sockets.push(stream);
            }
        }
        let words = (0..rooms).map(|room| words(server, room, size.room, sample)).collect();
        Crowd { shared, sockets, listening, words, said: Cell::new(0) }
    }

    /// Says so many things, with at most so many on their way at once; until everybody has heard everything. Rooms take
    /// turns, and in each its members.
    pub async fn say(&self, count: u64, on_their_way: u64) {
        let (before, mut said) = (self.shared.done.get(), 0);
        loop {
            let done = self.shared.done.get() - before;
            while said < count && said - done < on_their_way {
                self.say_next(self.shared.began.elapsed()).await;
                said += 1;
            }
            if done == count {
                return;
            }
            self.wait().await;
        }
    }

    /// Says one thing a tick, whether or not the last was heard, and measures from the moment it was due.
    pub async fn say_steadily(&self, count: u64, every: Duration) -> Histogram<u64> {
        *self.shared.latencies.borrow_mut() = Some(times());
        let (before, began) = (self.shared.done.get(), self.shared.began.elapsed());
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        for number in 0..count {
            let due = began + every * u32::try_from(number).expect("few");
            while self.shared.began.elapsed() < due {
                tick.tick().await;
            }
            self.say_next(due).await;
        }
        while self.shared.done.get() - before < count {
            self.wait().await;
        }
        self.shared.latencies.take().expect("it was set")
    }

    async fn say_next(&self, due: Duration) {
        let number = self.said.replace(self.said.get() + 1);
        let room = number % self.words.len();
        let speaker = room * self.shared.room_size + (number / self.words.len()) % self.shared.room_size;
        self.shared.rooms.borrow_mut()[room].reached.push_back(0);
        let Words(before, after) = &self.words[room];
        let frame = frames::text(&format!("{before}{:0STAMP$}{after}", due.as_nanos()));
        write(&self.sockets[speaker], &frame).await;
    }

    async fn wait(&self) {
        let woken = tokio::time::timeout(TIMEOUT, self.shared.wake.notified()).await;
        assert!(woken.is_ok() && !self.shared.lost.get(), "a connection ended, or nothing arrived for {TIMEOUT:?}");
    }

    /// A message as it arrived.
    pub fn sample(&self) -> String {
        self.shared.sample.borrow().clone()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.listening.iter().for_each(JoinHandle::abort);
    }
}

/// What takes times up to a minute, in nanoseconds.
pub fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("good bounds")
}

fn request(server: &Server, number: usize, room: usize) -> (String, String) {
    let asked = match server.kind {
        Kind::Hailgate => http::upgrade("/ws", &token(&user(number))),
        Kind::Actors | Kind::Ws => http::upgrade(&format!("/room/{}", number / room), ""),
    };
    (server.address.clone(), asked)
}

/// Makes the thread of a room, and what is said there.
fn words(server: &Server, room: usize, size: usize, sample: &str) -> Words {
    let padding = "x".repeat(CHARACTERS - STAMP);
    if server.kind != Kind::Hailgate {
        let at = sample.find(CONTENT).expect("an event of a message") + CONTENT.len();
        return Words(sample[..at].to_owned(), sample[at + STAMP..].to_owned());
    }
    let members: Vec<String> = (room * size + 1..(room + 1) * size).map(|member| format!("\"{}\"", user(member))).collect();
    let body = format!("{{\"members\":[{}]}}", members.join(","));
    let made = Http::connect(&server.address).ask(&http::post("/api/threads", &token(&user(room * size)), &body), "201");
    let thread = made.split("\"thread_id\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a thread");
    let before = format!("{{\"type\":\"message.send\",\"data\":{{\"thread_id\":\"{thread}\",{CONTENT}");
    Words(before, format!("{padding}\"}}}}"))
}

/// Connects and becomes a WebSocket; the connection, and what came behind the answer.
pub async fn open((address, request): (String, String)) -> (TcpStream, Vec<u8>) {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    write(&stream, request.as_bytes()).await;
    let mut answer = Vec::new();
    loop {
        if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
            return (stream, answer.split_off(end + 4));
        }
        assert!(read(&stream, &mut answer).await > 0, "no answer");
    }
}

/// Reads what there is.
pub async fn read(stream: &TcpStream, into: &mut Vec<u8>) -> usize {
    loop {
        stream.readable().await.expect("a socket");
        match stream.try_read_buf(into) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            read => return read.expect("a socket that can be read"),
        }
    }
}

/// Writes everything.
pub async fn write(stream: &TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => stream.writable().await.expect("a socket"),
            Err(error) => panic!("a server that takes no more: {error}"),
        }
    }
}

async fn listen(stream: Rc<TcpStream>, room: usize, mut rest: Vec<u8>, shared: Rc<Shared>) {
    let mut heard = 0;
    let mut pong = None;
    let mut look = |bytes: &[u8]| {
        let taken = frames::each(bytes, |opcode, payload| match opcode {
            frames::TEXT if payload.starts_with(shared.mark.as_bytes()) => {
                shared.arrived(room, heard, payload);
                heard += 1;
            }
            frames::PING => pong = Some(frames::pong(payload)),
            _ => {}
        });
        (taken, pong.take())
    };
    let taken = look(&rest).0;
    rest.drain(..taken);
    let mut read = |rest: &mut Vec<u8>| {
        let scratch = &mut *shared.scratch.borrow_mut();
        let kept = rest.len();
        scratch[..kept].copy_from_slice(rest);
        let whole = kept + stream.try_read(&mut scratch[kept..])?;
        if whole == kept {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let (taken, pong) = look(&scratch[..whole]);
        rest.clear();
        rest.extend_from_slice(&scratch[taken..whole]);
        Ok::<_, std::io::Error>(pong)
    };
    while stream.readable().await.is_ok() {
        match read(&mut rest) {
            Ok(Some(pong)) => write(&stream, &pong).await,
            Err(error) if error.kind() != ErrorKind::WouldBlock => break,
            Ok(None) | Err(_) => {}
        }
    }
    shared.lost.set(true);
    shared.wake.notify_one();
}

impl Shared {
    /// Somebody in a room has heard so many before this one.
    fn arrived(&self, room: usize, heard: u64, payload: &[u8]) {
        if let Some(latencies) = self.latencies.borrow_mut().as_mut() {
            let now = self.began.elapsed().as_nanos();
            let late = now.saturating_sub(u128::from(stamp(payload)));
            latencies.saturating_record(u64::try_from(late).unwrap_or(u64::MAX));
        }
        let mut rooms = self.rooms.borrow_mut();
        let Room { done, reached } = &mut rooms[room];
        let at = usize::try_from(heard - *done).expect("few");
        reached[at] += 1;
        while reached.front() == Some(&self.room_size) {
            reached.pop_front();
            *done += 1;
            self.done.set(self.done.get() + 1);
            self.wake.notify_one();
            if self.sample.borrow().is_empty() {
                *self.sample.borrow_mut() = String::from_utf8_lossy(payload).into_owned();
            }
        }
    }
}

/// The moment at which a message was due.
fn stamp(payload: &[u8]) -> u64 {
    let at = payload.windows(CONTENT.len()).position(|part| part == CONTENT.as_bytes()).expect("a message") + CONTENT.len();
    payload[at..at + STAMP].iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}
