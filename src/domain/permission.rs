//! What an account or token may do beyond the rights of a member.

/// A permission; a user without any can still chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// Sees connections and revokes users.
    Admin,
    /// Pushes events to users and threads from a back end.
    Publish,
}

impl Permission {
    /// Every permission.
    pub const ALL: &[Permission] = &[Permission::Admin, Permission::Publish];

    /// The name on the wire, in tokens and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Permission::Admin => "admin",
            Permission::Publish => "publish",
        }
    }

    /// The permission with this name, if there is one.
    pub fn named(name: &str) -> Option<Permission> {
        Self::ALL.iter().copied().find(|permission| permission.name() == name)
    }
}
