//! Sealing: an event becomes the bytes that every listener gets.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use hailgate::wire::seal::seal;

use super::{LENGTHS, posted};

pub fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sealing");
    group.throughput(Throughput::Elements(1));
    for bytes in LENGTHS {
        let event = posted(1, bytes);
        group.bench_function(format!("message of {bytes} bytes"), |bencher| bencher.iter(|| seal(black_box(&event))));
    }
    group.finish();
}
