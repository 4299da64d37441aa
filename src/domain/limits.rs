//! Every limit with its unit, its default and what it bounds. A deployment sets them by name.

macro_rules! limits {
    ($($name:ident $default:literal $unit:literal $meaning:literal)*) => {
        /// The limits in force.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits { $(#[doc = $meaning] pub $name: u64),* }

        impl Default for Limits {
            fn default() -> Self {
                Limits { $($name: $default),* }
            }
        }

        impl Limits {
            /// Name, default, unit and meaning of each.
            pub const TABLE: &[(&'static str, u64, &'static str, &'static str)] =
                &[$((stringify!($name), $default, $unit, $meaning)),*];

            /// Sets one by name; `false` if there is none of that name.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name { $(stringify!($name) => self.$name = value,)* _ => return false }
                true
            }

            /// Each name with its value in force.
            pub fn entries(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }
    };
}

limits! {
    content_chars            8_000 "characters"   "longest message, in Unicode scalar values"
    metadata_bytes           4_096 "bytes"        "largest metadata of a message, as JSON text"
    metadata_depth               8 "levels"       "deepest metadata of a message"
    title_chars                200 "characters"   "longest title of a thread"
    frame_bytes            131_072 "bytes"        "largest frame, message of fragments or request body"
    fragments                   64 "fragments"    "fragments of one message"
    connections_user            10 "connections"  "open connections of one user"
    connections_node       100_000 "connections"  "open connections of this node"
    sends_per_second            20 "per second"   "sends of one user over REST and WebSocket together"
    sends_burst                 60 "sends"        "sends of one user at once"
    frames_per_second           60 "per second"   "frames of one connection"
    frames_burst               240 "frames"       "frames of one connection at once"
    posts_waiting               16 "posts"        "unanswered posts after which a connection is not read"
    owned_threads            5_000 "threads"      "threads one user owns"
    thread_members          10_000 "members"      "members of one thread"
    outbox_bytes         1_048_576 "bytes"        "frames waiting for one connection"
    outbox_frames            4_096 "frames"       "frames waiting for one connection"
    heartbeat_ms            25_000 "milliseconds" "time between the server's pings"
    heartbeat_grace_ms      10_000 "milliseconds" "time after a missed ping until the connection ends"
    page                       100 "rows"         "largest page of a list"
    resume_events           10_000 "events"       "most events that a resume replays"
    poll_ms                 30_000 "milliseconds" "longest wait of a long poll"
    body_ms                 10_000 "milliseconds" "time for a request body to arrive"
    drain_ms                20_000 "milliseconds" "time for connections to leave at shutdown"
    writer_posts             4_096 "posts"        "posts waiting for the writer"
    writer_logins              256 "writes"       "logins and other writes waiting for the writer, beside the posts"
    writer_bytes        67_108_864 "bytes"        "posts waiting for the writer"
    reads_waiting            1_024 "reads"        "reads waiting for a read connection"
    hashes                       4 "hashes"       "password hashes computed at once, each 19 MiB"
    hashes_waiting              64 "hashes"       "password hashes waiting for their turn"
}
