//! A send whose connection dies at each byte of the exchange, in either direction, and is sent again under the same key over
//! the other transport: it exists once, and the other member is told of it once.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    checker::{self, Acknowledged, History, Name, Names, Record, Step, Stream, Tenure},
    dice::long,
    people::{Person, Proof, text},
    proxy::{Course, End, Leg, Proxy},
    raw::{TEXT, frame, upgrade},
    server::Server,
    socket::Socket,
    soon, stage,
};

/// Exchanges under way at once.
const BATCH: usize = 16;

/// Alice sends, bob ears.
struct Table {
    _server: Server,
    proxy: Proxy,
    alice: Person,
    bob: Person,
    ears: Socket,
    retries: Socket,
    thread: String,
    names: Names,
    record: Record,
    heard: Vec<Step>,
    sent: usize,
}

fn person(server: &Server, name: &str) -> Person {
    let mut person = server.nobody().with(Proof::Bearer(stage::token(server, name)));
    name.clone_into(&mut person.name);
    person
}

/// Where an exchange breaks.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Up(u64, End),
    Down(u64, End),
    Nowhere,
}

impl Cut {
    fn course(self) -> Course {
        let leg = |at, end| Leg { cut: Some((at, end)), ..Leg::default() };
        match self {
            Cut::Up(at, end) => Course { up: leg(at, end), ..Course::default() },
            Cut::Down(at, end) => Course { down: leg(at, end), ..Course::default() },
            Cut::Nowhere => Course::default(),
        }
    }
}

/// Which transport dies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum First {
    Socket,
    Rest,
}

/// What one broken exchange was about.
struct Broken {
    key: String,
    content: String,
    cut: Cut,
    /// Whether the server can have got all of it.
    whole: bool,
}

impl Table {
    async fn lay() -> Table {
        let server = stage::server(&[]);
        let (alice, bob) = (person(&server, "alice"), person(&server, "bob"));
        for person in [&alice, &bob] {
            person.get("/api/auth/me").await.json(200);
        }
        let thread = alice.thread(&[&bob]).await;
        let (ears, retries) = (bob.socket().await, alice.socket().await);
        let proxy = Proxy::calm(server.port);
        let (names, record, heard) = (Names::default(), Record::default(), Vec::new());
        Table { _server: server, proxy, alice, bob, ears, retries, thread, names, record, heard, sent: 0 }
    }

    fn body(&self, broken: &Broken) -> Value {
        json!({"thread_id": self.thread, "content": broken.content, "client_message_id": broken.key})
    }

    /// The bytes of a send in two parts; the second waits for the answer to the first.
    fn bytes(&self, first: First, broken: &Broken) -> (Vec<u8>, Vec<u8>) {
        let bearer = format!("Authorization: Bearer {}\r\n", self.alice.token());
        let body = self.body(broken).to_string();
        match first {
            First::Socket => {
                let send = format!(r#"{{"type":"message.send","id":1,"data":{body}}}"#);
                (upgrade("/ws", &bearer).into_bytes(), frame(TEXT, send.as_bytes()))
            }
            First::Rest => {
                let head = format!(
                    "POST /api/messages HTTP/1.1\r\nHost: chat.test\r\n{bearer}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                (Vec::new(), [head.into_bytes(), body.into_bytes()].concat())
            }
        }
    }

    fn broken(&mut self, first: First, cut: Cut) -> Broken {
        self.sent += 1;
        let (key, content) = (format!("{first:?}/{:05}", self.sent), format!("number {:05}", self.sent));
        let mut broken = Broken { key, content, cut, whole: true };
        let (one, two) = self.bytes(first, &broken);
        broken.whole = !matches!(cut, Cut::Up(at, _) if at < (one.len() + two.len()) as u64);
        broken
    }

    /// Sends until the answer or the end of the connection; the bytes that came back.
    async fn exchange(&self, first: First, broken: &Broken) -> Vec<u8> {
        let (one, two) = self.bytes(first, broken);
        let Ok(mut stream) = self.proxy.connect(broken.cut.course()).await else { return Vec::new() };
        let mut answer = Vec::new();
        for (part, answered) in [(one, &b"\r\n\r\n"[..]), (two, br#""duplicate":"#)] {
            if part.is_empty() {
                continue;
            }
            // A connection that has died takes nothing: then there is nothing more to read either.
            let _ = stream.write_all(&part).await;
            if !read_until(&mut stream, &mut answer, answered).await {
                break;
            }
        }
        answer
    }

    /// Breaks these exchanges, a few at once; sends each again over the other transport; ears what bob is told.
    async fn break_all(&mut self, first: First, cuts: Vec<Cut>) {
        for cuts in cuts.chunks(BATCH) {
            let batch: Vec<Broken> = cuts.iter().map(|cut| self.broken(first, *cut)).collect();
            join_all(batch.iter().map(|broken| self.exchange(first, broken))).await;
            for broken in &batch {
                self.retry(first, broken).await;
            }
            for _ in &batch {
                let event = self.ears.event().await.json;
                let event = self.names.event(&event).unwrap_or_else(|| panic!("no event: {event}"));
                self.heard.push(Step::Heard { event, handed_on: true });
            }
        }
    }

    async fn retry(&mut self, first: First, broken: &Broken) {
        let told = match first {
            First::Socket => {
                let answer = self.alice.post("/api/messages", self.body(broken)).await;
                assert!([200, 201].contains(&answer.status), "{:?}: {}", broken.cut, answer.body);
                answer.json(answer.status)
            }
            First::Rest => self.retries.ask("message.send", self.body(broken)).await["data"].clone(),
        };
        let shown = &told["message"];
        let acknowledged = self.names.acknowledged(shown).unwrap_or_else(|| panic!("{:?}: {told}", broken.cut));
        assert_eq!(text(shown, "content"), broken.content, "{:?}", broken.cut);
        assert!(broken.whole || told["duplicate"] == false, "{:?}: half a send was stored: {told}", broken.cut);
        self.record.acknowledged.push(acknowledged);
    }

    /// Nothing more comes, and the checker finds nothing.
    async fn clear(mut self) {
        self.ears.is_alive().await;
        let more: Vec<&Value> = self.ears.unasked().into_iter().filter(|frame| frame["sequence"].is_u64()).collect();
        assert!(more.is_empty(), "{more:?}");
        let rows = self.bob.history(&self.thread).await;
        assert_eq!(rows.len(), self.sent, "each is in the history once");
        let thread = self.names.of(&self.thread);
        let head = self.bob.get(&format!("/api/threads/{thread}")).await.json(200)["sequence"].as_u64().expect("a sequence");
        let rows = rows.iter().map(|row| self.names.row(row).expect("a message")).collect();
        self.record.histories.push(History { thread: Name::clone(&thread), head, after: 0, rows });
        let user = self.names.of("bob");
        let begin = Step::Loaded { thread: Name::clone(&thread), after: 0, through: 1, messages: Vec::new() };
        self.record.tenures.push(Tenure { user: Name::clone(&user), thread, from: 1, until: None });
        self.record.streams.push(Stream { user, steps: std::iter::once(begin).chain(self.heard).collect() });
        let verdict = checker::judge(&self.record);
        println!("{verdict}");
        assert!(verdict.is_clean(), "{verdict}");
        let keys: Vec<&Acknowledged> = self.record.acknowledged.iter().collect();
        assert_eq!((keys.len(), verdict.rows), (self.sent, self.sent as u64));
    }
}

/// Reads until these bytes have come; whether they did before the end.
async fn read_until(stream: &mut TcpStream, answer: &mut Vec<u8>, wanted: &[u8]) -> bool {
    loop {
        if answer.windows(wanted.len()).any(|window| window == wanted) {
            return true;
        }
        match soon("an answer or the end", stream.read_buf(answer)).await {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
    }
}

/// Every place from 0 to the length, or every few of them and all near the end; each way to end in turn, or both.
fn places(length: usize, step: usize, cut: fn(u64, End) -> Cut) -> Vec<Cut> {
    let ends = [End::Finish, End::Reset];
    let near = length.saturating_sub(24);
    (0..=length)
        .filter(|at| long() || at % step == 0 || *at >= near)
        .enumerate()
        .flat_map(|(turn, at)| {
            let at = at as u64;
            if long() { vec![cut(at, ends[0]), cut(at, ends[1])] } else { vec![cut(at, ends[turn % 2])] }
        })
        .collect()
}

async fn dies_at_each_byte(first: First, up_step: usize, down_step: usize) {
    let mut table = Table::lay().await;
    let whole = table.broken(first, Cut::Nowhere);
    let (one, two) = table.bytes(first, &whole);
    let down = table.exchange(first, &whole).await.len();
    table.retry(first, &whole).await;
    let event = table.ears.event().await.json;
    let event = table.names.event(&event).expect("an event");
    table.heard.push(Step::Heard { event, handed_on: true });
    // What comes down differs by a few digits from one exchange to another.
    let (up, down) = (one.len() + two.len(), down + 8);
    let cuts = [places(up, up_step, Cut::Up), places(down, down_step, Cut::Down)].concat();
    table.break_all(first, cuts).await;
    table.clear().await;
}

#[tokio::test]
async fn a_send_by_socket_that_dies_at_any_byte_and_is_retried_by_rest_exists_once() {
    dies_at_each_byte(First::Socket, 5, 13).await;
}

#[tokio::test]
async fn a_send_by_rest_that_dies_at_any_byte_and_is_retried_by_socket_exists_once() {
    dies_at_each_byte(First::Rest, 5, 13).await;
}
