//! How many upgrades a core takes, each by a token on a new connection, against a bare route that verifies the same token, each on
//! a new connection too. Told by processor time, so that what else the machine does falls on neither.

use std::{cell::Cell, rc::Rc};

use tokio::{net::TcpStream, task::spawn_local};

use crate::{
    Scale, cpu,
    crowd::{open, read, write},
    frames, http,
    sides::{Kind, Server, token, user},
    table::{Line, median, number},
};

/// Clients that connect one after another, side by side.
const CLIENTS: usize = 8;
/// Users they come as.
const USERS: usize = 1_000;

pub async fn run(scale: Scale) -> Vec<Line> {
    let (ours, bare) = (Server::start(Kind::Hailgate), Server::start(Kind::Actors));
    let tokens: Rc<Vec<String>> = Rc::new((0..USERS).map(|number| token(&user(number))).collect());
    // Everybody has come once, so that no user is made while it is measured.
    turn(&ours, &tokens, scale.pick(USERS, 50)).await;
    turn(&bare, &tokens, 50).await;
    let count = scale.pick(3_000, 50);
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..scale.pick(5, 1) {
        for (side, server) in [&ours, &bare].into_iter().enumerate() {
            let before = cpu::nanoseconds(server.pid);
            turn(server, &tokens, count).await;
            let used = cpu::nanoseconds(server.pid) - before;
            rates[side].push(number(u64::try_from(count).expect("few")) * 1e9 / number(used / 1_000) / 1e3);
        }
    }
    let [ours, bare] = rates.map(median);
    vec![Line {
        what: "upgrades a second of a core, JWT HS256, each on a new connection".to_owned(),
        target: ">= 0.6 of a bare route that verifies the token",
        ours: format!("{ours:.0} a second, {:.2} of the bare route", ours / bare),
        beside: format!("bare actix-web route {bare:.0} a second"),
        command: "upgrades",
    }]
}

async fn turn(server: &Server, tokens: &Rc<Vec<String>>, count: usize) {
    let next = Rc::new(Cell::new(0));
    let client = || {
        let (next, tokens, kind, address) = (Rc::clone(&next), Rc::clone(tokens), server.kind, server.address.clone());
        spawn_local(async move {
            while next.get() < count {
                let number = next.replace(next.get() + 1);
                once(kind, &address, &tokens[number % tokens.len()]).await;
            }
        })
    };
    for client in (0..CLIENTS).map(|_| client()).collect::<Vec<_>>() {
        client.await.expect("every one gets in");
    }
}

async fn once(kind: Kind, address: &str, token: &str) {
    if kind == Kind::Hailgate {
        let (stream, mut rest) = open((address.to_owned(), http::upgrade("/ws", token))).await;
        while frames::each(&rest, |_, _| {}) == 0 {
            assert!(read(&stream, &mut rest).await > 0, "no first frame");
        }
        return;
    }
    let stream = TcpStream::connect(address).await.expect("a connection");
    write(&stream, http::get(Server::BARE_PATH, token).as_bytes()).await;
    let mut answer = Vec::new();
    while !http::is_whole(&answer) {
        assert!(read(&stream, &mut answer).await > 0, "no answer");
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}
