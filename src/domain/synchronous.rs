//! What a commit survives.

/// How sure a commit must be before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synchronous {
    /// It survives power loss.
    Full,
    /// It survives the end of the process, and power loss once the system has written it.
    Normal,
}

impl Synchronous {
    /// Both.
    pub const ALL: [Synchronous; 2] = [Synchronous::Full, Synchronous::Normal];

    /// Exactly as it must be written.
    pub fn name(self) -> &'static str {
        match self {
            Synchronous::Full => "full",
            Synchronous::Normal => "normal",
        }
    }
}
