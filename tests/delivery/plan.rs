//! What a campaign is: how many users, threads and messages, in what weather, and what is done to it on purpose.

/// How a user's device receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By a socket.
    Socket,
    /// By long polls.
    Poll,
    /// By server-sent events.
    Stream,
}

impl Way {
    /// How this user's device receives.
    pub fn of(user: usize) -> Way {
        match user % 5 {
            3 => Way::Poll,
            4 => Way::Stream,
            _ => Way::Socket,
        }
    }
}

/// A fault that a device commits itself, so that the checker can be seen to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// One event is thrown away as it comes, every time it comes.
    Deaf,
    /// One event is handed on twice.
    Echo,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Chance begins here.
    pub seed: u64,
    /// Who takes part; each receives with one device and sends over both transports.
    pub users: usize,
    /// Threads; the first users own one each.
    pub threads: usize,
    /// Threads that each user stays in from beginning to end, and sends to.
    pub threads_each: usize,
    /// Messages of all users together, half by REST and half by socket at the first try.
    pub messages: usize,
    /// Members who come or go while messages are sent.
    pub changes: usize,
    /// Missed events above which a device is told to load what there is, instead of a replay. Nobody comes or goes then,
    /// because who was a member when is read from a replay of everything.
    pub resume_events: Option<u64>,
    /// Whether connections break.
    pub storm: bool,
    /// How often the server is killed.
    pub kills: u64,
    /// How the first user's device misbehaves.
    pub planted: Option<Planted>,
}

impl Plan {
    /// The threads a user stays in; its own among them, if it owns one.
    pub fn threads_of(&self, user: usize) -> Vec<usize> {
        (0..self.threads_each.min(self.threads)).map(|turn| (user + turn) % self.threads).collect()
    }
}
