//! The HTTP service: the stack, the table of routes, the probe that proves both, and the server.
//! This layer alone names concrete engines.

mod assets;
mod cors;
pub mod gateway;
pub mod probe;
pub mod routes;
pub mod server;
pub mod stack;
mod telemetry;
