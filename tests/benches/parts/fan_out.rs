//! Fan-out: an outlet queues what was posted into the outboxes of a thousand connections of its worker thread.

use std::{rc::Rc, sync::Arc};

use criterion::{BatchSize, Criterion, Throughput};
use hailgate::{
    connection_io::ConnectionIo,
    domain::{ConnectionId, Credential, Limits, Position, Time},
    outlet::{Item, Registry, Subscriber, Transport},
    store::Head,
    wire::seal::seal,
};
use uuid::Uuid;

use super::{posted, thread, user};

const LISTENERS: usize = 1_000;

pub fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan-out");
    // A slice is at most 16,384 times that one is queued.
    for events in [1, 16] {
        let items: Vec<Item> = (1..=events).map(|position| Item::Event(Arc::new(seal(&posted(position, 120))))).collect();
        group.throughput(Throughput::Elements(events * LISTENERS as u64));
        group.bench_function(format!("{events} to {LISTENERS}"), |bencher| {
            // Onto empty outboxes each time.
            bencher.iter_batched_ref(
                full_room,
                |(registry, _)| assert_eq!(registry.deliver_slice(&items, head(events), u64::MAX), 0),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn head(position: u64) -> Head {
    Head { epoch: Uuid::nil(), position: Position(position), mark: 7 }
}

/// A registry whose entries are all live and receive one thread.
fn full_room() -> (Registry, Vec<Rc<ConnectionIo>>) {
    let mut registry = Registry::new(head(0));
    let (limits, threads) = (Limits::default(), [thread()].into());
    let connections = (0..LISTENERS).map(|number| {
        let (io, user) = (Rc::new(ConnectionIo::new(&limits)), user(&format!("user{number}")));
        let subscriber = Subscriber {
            connection: ConnectionId::new(),
            credential: Credential::of(user.clone()),
            expires_at: Time(i64::MAX),
            transport: Transport::Socket,
        };
        let seat = registry.register(subscriber, Rc::clone(&io));
        registry.set_subscriptions(&user, &threads, head(0));
        assert!(registry.try_live(seat, Position(0)));
        io
    });
    let connections = connections.collect();
    (registry, connections)
}
