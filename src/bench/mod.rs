//! The load test: many users against a deployment, and whether delivery kept its promise meanwhile. It is a client: it
//! knows the wire and nothing of the server's inside.

pub mod compare;
#[cfg(test)]
mod example;
pub mod report;
pub mod results;

pub use compare::compare;
