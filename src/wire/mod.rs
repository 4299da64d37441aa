//! The only types that clients see: frames, events, REST bodies, problems; and the seals that make text of
//! events and cursors.

/// A field of a JSON object on the wire, as the struct that is read or written declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its Rust type, as it is written.
    pub of: &'static str,
    /// Its attributes, as they are written.
    pub attributes: &'static str,
}

/// Structs of the wire, each with the list of its fields: `src/docs/protocol.md` is written from these lists.
macro_rules! shapes {
    ($($(#[$on:meta])* $seen:vis struct $name:ident $(<$life:lifetime>)? {
        $($(#[$at:meta])* $field_seen:vis $field:ident: $type:ty),* $(,)?
    })*) => {$(
        $(#[$on])*
        $seen struct $name $(<$life>)? { $($(#[$at])* $field_seen $field: $type),* }

        impl $(<$life>)? $name $(<$life>)? {
            /// Its fields on the wire.
            pub const FIELDS: &'static [$crate::wire::Field] = &[$($crate::wire::Field {
                name: stringify!($field),
                of: stringify!($type),
                attributes: stringify!($($at),*),
            }),*];
        }
    )*};
}

pub mod command;
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
