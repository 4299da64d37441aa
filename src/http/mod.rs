//! The HTTP service: the stack, the table of routes, the probe that proves both, and the server.
//! This layer alone names concrete engines.
//!
//! Decisions: `src/docs/decisions/http.md`.

mod assets;
mod cors;
pub(crate) mod descriptors;
pub(crate) mod files;
pub mod gateway;
mod host;
pub(crate) mod keys;
mod mount;
pub mod open;
pub mod probe;
mod protection;
pub mod routes;
pub mod server;
pub mod signals;
pub mod stack;
mod telemetry;
pub mod tls;
