//! Frames: a client's bytes pass the gate and the library's codec, and their text becomes a command.

use std::hint::black_box;

use actix_codec::Decoder as _;
use actix_http::ws::{Codec, Frame};
use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput};
use hailgate::{
    domain::Limits,
    socket::gate::Gate,
    wire::command::{Command, parse},
};

use super::{LENGTHS, text, thread};

/// Frames that arrive in one read when a client sends as fast as it can.
const BURST: usize = 64;

pub fn measure(criterion: &mut Criterion) {
    let limits = Limits::default();
    let mut group = criterion.benchmark_group("frames");
    for bytes in LENGTHS {
        let said = send(bytes);
        let one = masked(&said);
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("gate, {bytes} bytes"), |bencher| {
            let mut gate = Gate::new(limits.frame_bytes, limits.fragments);
            bencher.iter(|| gate.pass(black_box(&one)));
        });
        group.bench_function(format!("command, {bytes} bytes"), |bencher| {
            bencher.iter(|| parse(black_box(&said), &limits));
        });
        group.throughput(Throughput::Elements(BURST as u64));
        let burst = one.repeat(BURST);
        group.bench_function(format!("{BURST} through gate and codec to commands, {bytes} bytes"), |bencher| {
            bencher.iter_batched(|| BytesMut::from(&burst[..]), |read| commands(read, &limits), BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// All commands of a read; each was sent whole and is a message.
fn commands(mut read: BytesMut, limits: &Limits) -> usize {
    let (mut gate, mut codec) = (Gate::new(limits.frame_bytes, limits.fragments), Codec::new());
    assert_eq!(gate.pass(&read), Ok(BURST as u64));
    let mut sends = 0;
    while let Some(Frame::Text(text)) = codec.decode(&mut read).expect("a frame") {
        let (_, command) = parse(std::str::from_utf8(&text).expect("text"), limits);
        assert!(matches!(command, Ok(Command::Send { .. })), "{command:?}");
        sends += 1;
    }
    assert_eq!(sends, BURST);
    sends
}

fn send(bytes: usize) -> String {
    let content = serde_json::to_string(&text(bytes)).expect("text");
    let data = format!("{{\"thread_id\":\"{}\",\"content\":{content},\"client_message_id\":\"a-1\"}}", thread());
    format!("{{\"type\":\"message.send\",\"id\":17,\"data\":{data}}}")
}

/// A client's text frame: last fragment, masked (RFC 6455 section 5.2).
fn masked(text: &str) -> Bytes {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![0x81];
    match u16::try_from(text.len()).expect("a short text") {
        length @ 0..126 => frame.push(0x80 | length.to_be_bytes()[1]),
        length => {
            frame.push(0x80 | 0x7e);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(text.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame.into()
}
