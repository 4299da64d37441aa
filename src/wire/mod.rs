//! The only types that clients see: frames, events, REST bodies, problems; and the seals that make text of
//! events and cursors.

pub mod cursor;
pub mod frame;
mod metadata;
pub mod problem;
pub mod rest;
pub mod seal;
pub mod shape;
pub mod sse;
pub mod text;

pub use cursor::CursorSeal;
pub use seal::{Change, Envelope, SealedMarker};
pub use text::{Tally, TextFrame};
