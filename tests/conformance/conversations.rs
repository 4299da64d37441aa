//! Random conversations of right frames, cut into packets anywhere: what comes back is what was said.

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

use crate::{
    case::{Case, run},
    wire::{BINARY, PONG, TEXT, in_fragments, whole},
};

/// Something that a client says.
#[derive(Debug, Clone)]
enum Said {
    Text(String, usize),
    Binary(Vec<u8>, usize),
    Pong(Vec<u8>),
}

fn said() -> impl Strategy<Value = Said> {
    let size = prop_oneof![1..8usize, 1..300usize];
    prop_oneof![
        ("\\PC{0,200}", size.clone()).prop_map(|(text, size)| Said::Text(text, size)),
        (prop::collection::vec(any::<u8>(), 0..400), size).prop_map(|(data, size)| Said::Binary(data, size)),
        prop::collection::vec(any::<u8>(), 0..126).prop_map(Said::Pong),
    ]
}

fn case(said: &[Said], cut: usize) -> Case {
    let mut bytes = Vec::new();
    for one in said {
        let frames = match one {
            Said::Text(text, size) => in_fragments(TEXT, text, *size),
            Said::Binary(data, size) => in_fragments(BINARY, data, *size),
            Said::Pong(data) => vec![whole(PONG, data)],
        };
        bytes.extend(frames.concat());
    }
    let pieces = bytes.chunks(cut).map(<[u8]>::to_vec);
    said.iter().fold(Case::of(format!("{said:?} in pieces of {cut}"), pieces), |case, said| match said {
        Said::Text(text, _) => case.text(text),
        Said::Binary(data, _) => case.binary(data),
        Said::Pong(_) => case,
    })
}

#[test]
fn what_is_said_comes_back_however_it_is_cut() {
    let cases = 200;
    let mut runner = TestRunner::new(Config::default());
    let strategy = (prop::collection::vec(said(), 0..12), 1..200usize);
    run((0..cases).map(|_| {
        let (said, cut) = strategy.new_tree(&mut runner).expect("a conversation").current();
        case(&said, cut)
    }));
}
