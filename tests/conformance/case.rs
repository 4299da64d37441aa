//! A case: what is sent, what must come back, and how it must end.

use std::{
    io::Write,
    thread::{self, ScopedJoinHandle},
};

use crate::{
    peer::{Came, Peer, servers},
    wire::{BINARY, CLOSE, PONG, TEXT, close},
};

/// How a conversation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It goes on: the client's close is answered.
    Open,
    /// A close frame with this code comes, or with none; then TCP ends.
    Closed(Option<u16>),
    /// TCP ends without a close frame, after the client's side of it has ended.
    Gone,
}

/// Bytes from which on a case is sent in one piece and frame by frame only.
const SMALL: usize = 700;
/// Connections at a time.
const ABREAST: usize = 8;

/// See the module.
#[derive(Debug, Clone)]
pub struct Case {
    what: String,
    send: Vec<Vec<u8>>,
    expect: Vec<(u8, Vec<u8>)>,
    end: End,
    apart: bool,
}

impl Case {
    /// Sends these frames; nothing comes of them, until more is said.
    pub fn of(what: impl Into<String>, send: impl IntoIterator<Item = Vec<u8>>) -> Case {
        Case { what: what.into(), send: send.into_iter().collect(), expect: Vec::new(), end: End::Open, apart: false }
    }

    pub fn text(mut self, text: impl AsRef<[u8]>) -> Case {
        self.expect.push((TEXT, text.as_ref().to_vec()));
        self
    }

    pub fn binary(mut self, data: impl AsRef<[u8]>) -> Case {
        self.expect.push((BINARY, data.as_ref().to_vec()));
        self
    }

    pub fn pong(mut self, data: impl AsRef<[u8]>) -> Case {
        self.expect.push((PONG, data.as_ref().to_vec()));
        self
    }

    pub fn closed(mut self, code: u16) -> Case {
        self.end = End::Closed(Some(code));
        self
    }

    pub fn ends(mut self, end: End) -> Case {
        self.end = end;
        self
    }

    /// Pongs have an order and messages have one; of the two together there is none.
    pub fn pongs_apart(mut self) -> Case {
        self.apart = true;
        self.expect.sort_by_key(|(opcode, _)| *opcode == PONG);
        self
    }

    fn bytes(&self) -> usize {
        self.send.iter().map(Vec::len).sum()
    }

    /// The pieces in which it is sent.
    fn manners(&self) -> Vec<(&'static str, Vec<Vec<u8>>)> {
        let mut manners = vec![("in one piece", vec![self.send.concat()])];
        if self.send.len() > 1 {
            manners.push(("frame by frame", self.send.clone()));
        }
        if self.bytes() < SMALL {
            manners.push(("byte by byte", self.send.concat().chunks(1).map(<[u8]>::to_vec).collect()));
        }
        manners
    }

    fn run(&self, port: u16, pieces: &[Vec<u8>]) {
        let mut peer = Peer::upgraded(port);
        let mut writer = peer.writer();
        thread::scope(|scope| {
            // Beside the reading: who sends all before it reads any waits for a server that waits for it.
            let sending: ScopedJoinHandle<'_, ()> = scope.spawn(move || {
                // A server that has seen enough may end while more is sent.
                let _ = pieces.iter().try_for_each(|piece| writer.write_all(piece));
            });
            let mut came: Vec<Came> = self.expect.iter().map(|_| peer.next()).collect();
            if self.apart {
                came.sort_by_key(|came| matches!(came, Came::Frame(PONG, _)));
            }
            for (number, ((opcode, payload), came)) in self.expect.iter().zip(&came).enumerate() {
                let right = matches!(came, Came::Frame(came, data) if came == opcode && data == payload);
                assert!(right, "answer {number}: {} instead of {opcode:#x} {}", shown(came), short(payload));
            }
            // What is expected may come before all is sent, where the end is what matters.
            sending.join().expect("no panic");
            self.meet_end(&mut peer);
        });
    }

    fn meet_end(&self, peer: &mut Peer) {
        let code = match self.end {
            End::Open => {
                peer.writer().write_all(&close(1000, b"")).expect("an open connection");
                Some(1000)
            }
            End::Closed(code) => code,
            End::Gone => {
                peer.half_close();
                assert_eq!(peer.next(), Came::End);
                return;
            }
        };
        let came = peer.next();
        let Came::Frame(CLOSE, payload) = &came else { panic!("{} instead of a close frame", shown(&came)) };
        assert_ne!(payload.len(), 1, "half a code");
        let told = payload.get(..2).map(|two| u16::from_be_bytes([two[0], two[1]]));
        assert!(std::str::from_utf8(payload.get(2..).unwrap_or_default()).is_ok(), "a reason that is no text");
        assert_eq!(told, code);
        // A polite client answers a close that it did not begin. It may have ended already.
        let _ = peer.writer().write_all(&close(code.unwrap_or(1000), b""));
        assert_eq!(peer.next(), Came::End, "after the close frame");
    }
}

fn shown(came: &Came) -> String {
    match came {
        Came::Frame(CLOSE, payload) => format!("a close frame with {payload:?}"),
        Came::Frame(opcode, payload) => format!("{opcode:#x} {}", short(payload)),
        Came::End => "the end of TCP".to_owned(),
    }
}

fn short(payload: &[u8]) -> String {
    format!("{:?} ({} bytes)", String::from_utf8_lossy(&payload[..payload.len().min(40)]), payload.len())
}

/// Runs every case on every transport, in every manner; all that fails is told.
#[track_caller]
pub fn run(cases: impl IntoIterator<Item = Case>) {
    let cases: Vec<Case> = cases.into_iter().collect();
    assert!(!cases.is_empty());
    let runs: Vec<_> = servers()
        .flat_map(|(transport, port)| cases.iter().map(move |case| (transport, port, case)))
        .flat_map(|(transport, port, case)| {
            case.manners().into_iter().map(move |(manner, pieces)| (transport, port, case, manner, pieces))
        })
        .collect();
    let failed: Vec<String> = thread::scope(|scope| {
        let each = runs.chunks(runs.len().div_ceil(ABREAST)).map(|some| {
            scope.spawn(move || {
                let failed = some.iter().filter_map(|(transport, port, case, manner, pieces)| {
                    let panic = std::panic::catch_unwind(|| case.run(*port, pieces)).err()?;
                    let why = panic.downcast_ref::<String>().cloned();
                    let why = why.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
                    Some(format!("{transport}, {}, {manner}: {}", case.what, why.unwrap_or_default()))
                });
                failed.collect::<Vec<_>>()
            })
        });
        let each: Vec<_> = each.collect();
        each.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), runs.len(), failed.join("\n"));
}
