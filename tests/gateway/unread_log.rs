//! A server whose log goes into a pipe that is full and never read.

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader, ErrorKind, PipeWriter, Read, Write, pipe},
    net::TcpStream,
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    process::Stdio,
};

use rustix::fs::OFlags;

use crate::server::{Site, guard, signal, wait};

/// Writes until not one byte more fits.
fn fill(pipe: &PipeWriter) {
    // Opened anew: the server's own end stays one that blocks.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag");
    let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    let mut pipe = OpenOptions::new().write(true).custom_flags(flags).open(path).expect("the pipe");
    for size in [4_096, 1] {
        let full = loop {
            if let Err(error) = pipe.write_all(&[b'x'; 4_096][..size]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn the_second_signal_ends_a_server_whose_stderr_is_blocked() {
    let site = Site::new(&[]);
    let (reader, writer) = pipe().expect("a pipe");
    let mut command = site.command(&["serve", "--bind", "127.0.0.1:0"]);
    command.stdout(Stdio::null()).stderr(writer.try_clone().expect("a descriptor"));
    let mut child = command.spawn().expect("the program starts");
    let mut guard = guard(child.id(), site.directory.path());
    let mut log = BufReader::new(reader);
    let mut lines = log.by_ref().lines().map_while(Result::ok);
    let address = lines.find_map(|line| Some(line.split_once("listening on http://")?.1.to_owned())).expect("an address");
    // A server that answers hears signals.
    let mut request = TcpStream::connect(address).expect("a connection");
    request.write_all(b"GET /health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("a request");
    request.read_to_string(&mut String::new()).expect("an answer");
    fill(&writer);
    // Two of a kind may arrive as one.
    signal(&child, "TERM");
    signal(&child, "INT");
    let ended = wait(&mut child);
    // The guard first: a process id must not be killed after it is free again.
    for child in [&mut guard, &mut child] {
        let _ = child.kill();
        let _ = child.wait();
    }
    assert_eq!(ended.expect("the server ends").code(), Some(70));
}
