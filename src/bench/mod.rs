//! The load test: many users against a deployment, and whether delivery kept its promise meanwhile. It is a client: it
//! knows the wire and nothing of the server's inside.

pub mod checker;
mod crew;
mod device;
pub mod dial;
mod frames;
mod latency;
mod machine;
mod member;
mod meter;
mod pace;
pub mod plan;
mod rest;
pub mod results;
pub mod run;
mod tally;
pub mod target;
