//! What an idle connection that is signed in keeps in memory.

use std::time::Duration;

use tokio::{net::TcpStream, task::spawn_local};

use crate::{
    Scale, cpu,
    crowd::{open, read},
    frames, http,
    sides::{self, Kind, Server, token, user},
    table::{Line, number},
};

/// Connections before the first look, so that what a server makes once is there.
const BEFORE: usize = 100;
/// Memory is looked at once it has not grown for so long.
const QUIET: Duration = Duration::from_secs(1);

pub async fn run(scale: Scale) -> Vec<Line> {
    let count = scale.pick(sides::connections_at_most(10_000 + BEFORE) - BEFORE, 200);
    let mut kept = Vec::new();
    for kind in Kind::all() {
        let server = Server::start(kind);
        let mut sockets = Vec::with_capacity(BEFORE + count);
        connect(&server, &mut sockets, BEFORE).await;
        let before = settled(server.pid).await;
        connect(&server, &mut sockets, BEFORE + count).await;
        let after = settled(server.pid).await;
        kept.push((kind, number(after.saturating_sub(before)) / number(u64::try_from(count).expect("few"))));
    }
    let beside = kept[1..].iter().map(|(kind, kib)| format!("{} {kib:.1} KiB", kind.name()));
    vec![Line {
        what: format!("resident memory an idle connection, {count} of them"),
        target: "<= 3 KiB",
        ours: format!("{:.1} KiB", kept[0].1),
        beside: beside.collect::<Vec<_>>().join("; "),
        command: "memory",
    }]
}

async fn connect(server: &Server, sockets: &mut Vec<TcpStream>, up_to: usize) {
    while sockets.len() < up_to {
        let next = sockets.len()..(sockets.len() + 64).min(up_to);
        let opening: Vec<_> =
            next.map(|number| spawn_local(welcomed(server.kind, server.address.clone(), number))).collect();
        for opened in opening {
            sockets.push(opened.await.expect("a socket"));
        }
    }
}

/// Connects; ours says first who one is.
async fn welcomed(kind: Kind, address: String, number: usize) -> TcpStream {
    let request = match kind {
        Kind::Hailgate => http::upgrade("/ws", &token(&user(number))),
        Kind::Actors | Kind::Ws => http::upgrade(&format!("/room/{number}"), ""),
    };
    let (stream, mut rest) = open((address, request)).await;
    while kind == Kind::Hailgate && frames::each(&rest, |_, _| {}) == 0 {
        assert!(read(&stream, &mut rest).await > 0, "no first frame");
    }
    stream
}

/// KiB resident, when they do not grow any more.
async fn settled(pid: u32) -> u64 {
    let mut window = tokio::time::interval(QUIET);
    window.tick().await;
    let mut last = cpu::resident_kib(pid);
    loop {
        window.tick().await;
        let now = cpu::resident_kib(pid);
        if now <= last {
            return now;
        }
        last = now;
    }
}
