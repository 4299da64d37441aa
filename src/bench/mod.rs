//! The load test: many users against a deployment, and whether delivery kept its promise meanwhile. It is a client: it
//! knows the wire and nothing of the server's inside.
//!
//! Decisions: `src/docs/decisions/bench.md`.

pub mod checker;
pub mod compare;
mod crew;
mod device;
pub mod dial;
#[cfg(test)]
mod example;
mod frames;
mod latency;
mod machine;
mod member;
mod meter;
mod pace;
pub mod plan;
pub mod report;
mod rest;
pub mod results;
pub mod run;
mod tally;
pub mod target;

pub use compare::compare;
