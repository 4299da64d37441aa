//! From the moment a message is due until each of its room has it: 1,000 users who each say something every second, in rooms of 10.

use std::time::Duration;

use crate::{
    Scale,
    crowd::{Crowd, EVENT, Size},
    sides::{Kind, Server},
    table::{Line, milliseconds},
};

pub async fn run(scale: Scale) -> Vec<Line> {
    let (users, seconds) = scale.pick((1_000, 10), (50, 1));
    let mut sample = String::new();
    let mut told = Vec::new();
    for kind in Kind::all() {
        let server = Server::start(kind);
        let crowd = Crowd::gather(&server, Size { connections: users, room: 10 }, EVENT, &sample).await;
        crowd.say(u64::try_from(users).expect("few"), 16).await;
        if kind == Kind::Hailgate {
            sample = crowd.sample();
        }
        let every = Duration::from_secs(1) / u32::try_from(users).expect("few");
        let late = crowd.say_steadily(u64::try_from(users * seconds).expect("few"), every).await;
        let [p50, p99] = [0.5, 0.99].map(|quantile| milliseconds(late.value_at_quantile(quantile)));
        told.push((kind, format!("p50 {p50} ms, p99 {p99} ms")));
    }
    let beside = told[1..].iter().map(|(kind, told)| format!("{} {told}", kind.name()));
    vec![Line {
        what: format!("sent until received, {users} users x 1 message a second for {seconds} s, threads of 10"),
        target: "p99 <= 10 ms",
        ours: told[0].1.clone(),
        beside: beside.collect::<Vec<_>>().join("; "),
        command: "latency",
    }]
}
