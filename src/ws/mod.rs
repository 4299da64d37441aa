//! WebSocket connections: who may open one, and the actor that each one is.

pub mod admission;
mod connection;
mod strikes;
mod typing;
