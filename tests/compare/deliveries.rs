//! What a delivery costs: broadcasts in rooms, with so many on their way at once, the same bytes from each server. Ours stores
//! every message and knows who everybody is.

use crate::{
    Scale,
    cpu::{self, Meter, Used},
    crowd::{Crowd, EVENT, Size},
    sides::{Kind, Server},
    table::{Line, median, number},
};

/// Broadcasts on their way at once, broadcasts of a round, the target; the ratio is what it was told of beside it.
type Way = (u64, u64, &'static str);

/// A room of 1,000.
pub async fn one_room(scale: Scale) -> Vec<Line> {
    let connections = scale.pick(1_000, 40);
    let ways = scale.pick(
        [
            (1, 150, "<= 11.0 k instructions; 0.76 of actix-web-actors"),
            (4, 300, "<= 5.6 k instructions; 0.97 of actix-web-actors"),
            (32, 960, "<= 1.05 k instructions; 0.61 of actix-web-actors"),
        ],
        [(1, 5, "-"), (4, 20, "-"), (32, 64, "-")],
    );
    measure(scale, Size { connections, room: connections }, &ways, "deliveries").await
}

/// 9,500 connections in rooms of 10.
pub async fn many_rooms(scale: Scale) -> Vec<Line> {
    let ways = [(64, scale.pick(8_000, 40), "<= 20 k instructions; 0.88 of actix-web-actors")];
    measure(scale, Size { connections: scale.pick(9_500, 100), room: 10 }, &ways, "rooms").await
}

async fn measure(scale: Scale, size: Size, ways: &[Way], command: &'static str) -> Vec<Line> {
    let servers: Vec<Server> = Kind::all().into_iter().map(Server::start).collect();
    let mut sample = String::new();
    let mut costs = vec![vec![Vec::new(); servers.len()]; ways.len()];
    for _ in 0..scale.pick(3, 1) {
        for (side, server) in servers.iter().enumerate() {
            // One crowd at a time: open files are limited.
            let crowd = Crowd::gather(server, size, EVENT, &sample).await;
            // Each room has heard something.
            crowd.say(u64::try_from(size.connections / size.room + 20).expect("few"), 64).await;
            if sample.is_empty() {
                sample = crowd.sample();
            }
            for (way, (on_their_way, count, _)) in ways.iter().enumerate() {
                crowd.say(*on_their_way * 2, *on_their_way).await;
                let meter = Meter::begin(server.pid);
                crowd.say(*count, *on_their_way).await;
                costs[way][side].push(cost(meter.end(), *count * u64::try_from(size.room).expect("few")));
            }
        }
    }
    let unit = if cpu::counts_instructions() { "k instructions" } else { "us" };
    let mut lines = Vec::new();
    for ((on_their_way, _, target), costs) in ways.iter().zip(costs) {
        let medians: Vec<f64> = costs.into_iter().map(median).collect();
        let beside =
            servers.iter().zip(&medians).skip(1).map(|(server, cost)| {
                format!("{} {cost:.2} {unit} (ours: {:.2} of it)", server.kind.name(), medians[0] / cost)
            });
        lines.push(Line {
            what: format!(
                "a delivery, {} connections in rooms of {}, {on_their_way} broadcasts on their way, frames of {} bytes",
                size.connections,
                size.room,
                sample.len()
            ),
            target,
            ours: format!("{:.2} {unit}", medians[0]),
            beside: beside.collect::<Vec<_>>().join("; "),
            command,
        });
    }
    lines
}

/// Thousands of instructions of one delivery where they are counted, else microseconds of a processor.
fn cost(used: Used, deliveries: u64) -> f64 {
    match used.instructions {
        Some(instructions) => number(instructions / 1_000) / number(deliveries),
        None => number(used.nanoseconds / 1_000) / number(deliveries),
    }
}
