//! A cursor: how far a client has come in one particular log, and whether that log is still the same.

use uuid::Uuid;

use super::Position;

/// Epoch and position that a client has, with the mark of the log row there. Sealed before it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Which log.
    pub epoch: Uuid,
    /// Everything of this user at or below it has been sent.
    pub position: Position,
    /// The random mark of the event at that position (0 at position 0), so that a log which was
    /// restored from an old copy and has grown again is noticed.
    pub mark: u32,
}

/// Bytes of a cursor before sealing.
pub const CURSOR_BYTES: usize = 28;

impl Cursor {
    /// The 28 bytes that are sealed: epoch, position and mark, big endian.
    pub fn to_bytes(self) -> [u8; CURSOR_BYTES] {
        let mut bytes = [0; CURSOR_BYTES];
        bytes[..16].copy_from_slice(self.epoch.as_bytes());
        bytes[16..24].copy_from_slice(&self.position.0.to_be_bytes());
        bytes[24..].copy_from_slice(&self.mark.to_be_bytes());
        bytes
    }

    /// The cursor of those bytes.
    pub fn from_bytes(bytes: &[u8; CURSOR_BYTES]) -> Cursor {
        let (mut epoch, mut position, mut mark) = ([0; 16], [0; 8], [0; 4]);
        epoch.copy_from_slice(&bytes[..16]);
        position.copy_from_slice(&bytes[16..24]);
        mark.copy_from_slice(&bytes[24..]);
        Cursor {
            epoch: Uuid::from_bytes(epoch),
            position: Position(u64::from_be_bytes(position)),
            mark: u32::from_be_bytes(mark),
        }
    }
}

/// Why a resume is not possible: the client reloads by REST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reset {
    /// The log is another one, or was restored from an old copy.
    EpochChanged,
    /// What the client missed is no longer kept.
    Expired,
    /// Not a cursor of this server.
    BadCursor,
    /// More was missed than a resume replays.
    TooMany,
}

/// What becomes of a wish to resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Replay what comes after this position.
    After(Position),
    /// Start anew at the head.
    Reset(Reset),
}

/// Judges a cursor against the log: its epoch, its head, and the mark it has now at the cursor's position
/// (`None` if there is no such row; position 0 has the mark 0 as long as the log is kept from its beginning).
pub fn judge(cursor: &Cursor, epoch: Uuid, head: Position, mark_there: Option<u32>) -> Resume {
    if cursor.epoch != epoch || cursor.position > head {
        return Resume::Reset(Reset::EpochChanged);
    }
    match mark_there {
        Some(mark) if mark == cursor.mark => Resume::After(cursor.position),
        Some(_) => Resume::Reset(Reset::EpochChanged),
        None => Resume::Reset(Reset::Expired),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_survives_its_bytes(epoch: u128, position: u64, mark: u32) {
            let cursor = Cursor { epoch: Uuid::from_u128(epoch), position: Position(position), mark };
            prop_assert_eq!(Cursor::from_bytes(&cursor.to_bytes()), cursor);
        }

        #[test]
        fn only_a_cursor_of_this_log_resumes(epoch: u128, other: u128, head in 0..1000u64, at in 0..2000u64, mark: u32, there: Option<u32>) {
            let cursor = Cursor { epoch: Uuid::from_u128(epoch), position: Position(at), mark };
            let verdict = judge(&cursor, Uuid::from_u128(other), Position(head), there);
            if let Resume::After(position) = verdict {
                prop_assert_eq!(position, cursor.position);
                prop_assert!(epoch == other && at <= head && there == Some(mark));
            } else {
                prop_assert!(epoch != other || at > head || there != Some(mark));
            }
        }
    }
}
