//! From the start of the process to the first request that is let in: on an empty store, and on one with a million messages, which is
//! made once and kept beside what cargo builds.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use rusqlite::Connection;
use tempfile::TempDir;

use crate::{
    Scale,
    http::{self, Http},
    sides::{Kind, Server, token, user},
    table::{Line, median},
};

pub fn run(scale: Scale) -> Vec<Line> {
    let messages: i64 = scale.pick(1_000_000, 10_000);
    let full = made(messages);
    started(&full);
    let (mut empty_times, mut full_times) = (Vec::new(), Vec::new());
    for _ in 0..scale.pick(9, 1) {
        let directory = TempDir::new().expect("a directory");
        empty_times.push(started(&directory.path().join("empty.db")));
        full_times.push(started(&full));
    }
    let line = |what: String, target, times| Line {
        what: format!("start to first admitted request, {what}"),
        target,
        ours: format!("{:.0} ms", median(times)),
        beside: "-".to_owned(),
        command: "start",
    };
    vec![
        line("empty store".to_owned(), "<= 150 ms", empty_times),
        line(format!("{messages} messages"), "<= 300 ms", full_times),
    ]
}

fn serve(file: &Path) -> Server {
    Server::on_all_cores(Kind::Hailgate, &[("HAILGATE_DATABASE_URL", &format!("sqlite://{}", file.display()))])
}

/// Milliseconds until somebody is let in.
fn started(file: &Path) -> f64 {
    let request = http::get("/api/auth/me", &token(&user(0)));
    let began = Instant::now();
    let server = serve(file);
    Http::connect(&server.address).ask(&request, "200");
    let took = began.elapsed().as_secs_f64() * 1e3;
    server.stop();
    took
}

/// A store with so many messages in one thread: the server makes the thread, SQLite the rows.
fn made(messages: i64) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("compare");
    let (file, begun) = (directory.join(format!("{messages}.db")), directory.join(format!("{messages}.begun.db")));
    if file.exists() {
        return file;
    }
    fs::create_dir_all(&directory).expect("a directory");
    for left in ["", "-wal", "-shm"] {
        // Of a run that was stopped.
        let _ = fs::remove_file(format!("{}{left}", begun.display()));
    }
    let server = serve(&begun);
    let mut client = Http::connect(&server.address);
    client.ask(&http::get("/api/auth/me", &token(&user(1))), "200");
    let members = format!("{{\"members\":[\"{}\"]}}", user(1));
    client.ask(&http::post("/api/threads", &token(&user(0)), &members), "201");
    drop(client);
    server.stop();
    let connection = Connection::open(&begun).expect("a database");
    connection.pragma_update(None, "journal_mode", "WAL").expect("as ours");
    // The thread's creation is position and sequence 1.
    for sql in [
        "INSERT INTO messages (position, message_id, thread_num, sequence, author, content, created_at)
         WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i <= ?1)
         SELECT i, randomblob(16), 1, i, 'u00000', 'said ' || i || printf('%.100c', 'x'), 1000 FROM n",
        "INSERT INTO events (position, mark, thread_num, sequence, kind, at, by, message_position)
         WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i <= ?1)
         SELECT i, i & 0xffff, 1, i, 1, 1000, 'u00000', i FROM n",
        "UPDATE threads SET sequence = ?1 + 1, last_position = ?1 + 1 WHERE thread_num = 1",
    ] {
        connection.execute(sql, [messages]).expect("rows");
    }
    // The last connection brings everything into the file itself.
    connection.close().expect("it is closed");
    fs::rename(&begun, &file).expect("it is there now");
    file
}
