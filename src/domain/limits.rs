//! Every limit with its unit, its default, the least that it may be, and what it bounds. A deployment sets them by name.

use std::time::Duration;

/// A retry key is kept for so long at least: messages, which take theirs with them, are kept no shorter.
pub const RETRY_KEYS_KEPT: Duration = Duration::from_hours(7 * 24);

macro_rules! limits {
    ($($name:ident $default:literal $least:literal $unit:literal $told:ident $meaning:literal)*) => {
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

            /// The least that each may be, in the order of the table: below it nothing would work, or nobody get in.
            pub const LEAST: &[u64] = &[$($least),*];

            /// Sets one by name; `false` if there is none of that name.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name { $(stringify!($name) => self.$name = value,)* _ => return false }
                true
            }

            /// Each name with its value in force that clients are told; what bounds only the server's own parts is not.
            pub fn told(&self) -> Vec<(&'static str, u64)> {
                let mut told = Vec::new();
                $(if stringify!($told) == "told" {
                    told.push((stringify!($name), self.$name));
                })*
                told
            }

            /// Each name with its value in force.
            pub fn entries(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }
    };
}

limits! {
    content_chars            8_000      1 "characters"   told "longest message, in Unicode scalar values"
    metadata_bytes           4_096      2 "bytes"        told "largest metadata of a message, as JSON text"
    metadata_depth               8      1 "levels"       told "deepest metadata of a message"
    title_chars                200      1 "characters"   told "longest title of a thread"
    frame_bytes            131_072  4_096 "bytes"        told "largest frame, message of fragments or request body"
    fragments                   64      1 "fragments"    told "fragments of one message"
    connections_user            10      1 "connections"  told "open connections of one user"
    connections_node       100_000      1 "connections"  told "open connections of this node"
    sends_per_second            20      1 "per second"   told "sends of one user over REST and WebSocket together"
    sends_burst                 60      1 "sends"        told "sends of one user at once"
    frames_per_second           60      1 "per second"   told "frames of one connection"
    frames_burst               240      1 "frames"       told "frames of one connection at once"
    posts_waiting               16      1 "posts"        told "unanswered posts after which a connection is not read"
    rest_per_second             50      1 "per second"   told "REST requests of one user"
    rest_burst                 200      1 "requests"     told "REST requests of one user at once"
    searches_per_second          5      1 "per second"   told "searches for people of one user"
    tickets_per_second           5      1 "per second"   told "tickets of one user, and as many pairs of tokens"
    threads_per_minute          10      1 "per minute"   told "threads that one user creates"
    threads_burst              100      1 "threads"      told "threads that one user creates at once"
    members_per_minute       1_000      1 "per minute"   told "members that one user adds, and at once"
    upgrades_per_second        100      1 "per second"   told "upgrades from one address"
    upgrades_burst           2_000      1 "upgrades"     told "upgrades from one address at once"
    owned_threads            5_000      1 "threads"      told "threads one user owns"
    thread_members          10_000      2 "members"      told "members of one thread"
    outbox_bytes         1_048_576 65_536 "bytes"        told "frames waiting for one connection"
    outbox_frames            4_096      4 "frames"       told "frames waiting for one connection"
    typing_per_second            1      1 "per second"   told "typing notices of one connection for one thread"
    typing_told_per_second   2_000      1 "per second"   told "members told who types in one thread; with more of them present nobody is told"
    stall_ms                30_000  1_000 "milliseconds" told "time in which a socket takes nothing of what waits for it until its reader is slow"
    presence_members           200      2 "members"      told "present members of a thread up to which they are told who comes and goes; above it they ask"
    presence_linger_ms      10_000      1 "milliseconds" told "time after a user's last connection until others are told that it has gone"
    presence_told_per_second 50_000     1 "per second"   own  "comings and goings told on this node, each to each who is told; the rest waits"
    outboxes_bytes     536_870_912 65_536 "bytes"        own  "memory of this node for frames that wait, a shared one counted once, and for messages that are not whole; above it connections that do not keep up are closed"
    heartbeat_ms            25_000  1_000 "milliseconds" told "time between the server's pings"
    heartbeat_grace_ms      10_000  1_000 "milliseconds" told "time after a missed ping until the connection ends"
    page                       100      1 "rows"         told "largest page of a list"
    resume_events           10_000      1 "events"       told "most events that a resume replays"
    retention_ms                 0      0 "milliseconds" told "time for which events and messages are kept, 7 days or more; 0: for ever"
    poll_ms                 30_000     10 "milliseconds" told "longest wait of a long poll"
    access_token_ms        900_000 10_000 "milliseconds" told "life of an access token that a login gets"
    head_ms                  5_000    100 "milliseconds" own  "time for the head of a request to arrive"
    message_ms              30_000    100 "milliseconds" told "time for a message on a socket to arrive whole"
    body_ms                 10_000    100 "milliseconds" told "time for a request body to arrive"
    drain_ms                20_000    100 "milliseconds" told "time for connections to leave at shutdown"
    token_bytes             16_384  1_024 "bytes"        told "longest token"
    token_lifetime_ms   86_400_000 60_000 "milliseconds" told "longest life of a token, from `iat` to `exp`"
    jwks_bytes           1_048_576  1_024 "bytes"        own  "largest answer of an address that gives an issuer's keys"
    jwks_keys                   64      1 "keys"         own  "keys of one outside issuer"
    jwks_fetch_ms            5_000    100 "milliseconds" own  "time for an issuer's keys to arrive"
    jwks_refresh_ms        600_000  1_000 "milliseconds" own  "time after which an issuer's keys are fetched again"
    jwks_again_ms           60_000  1_000 "milliseconds" own  "time between two fetches that tokens with an unknown key cause"
    jwks_stale_ms       86_400_000  1_000 "milliseconds" own  "time for which keys are believed while their address does not answer"
    writer_posts             4_096     16 "posts"        own  "posts waiting for the writer"
    writer_logins              256     16 "writes"       own  "logins and other writes waiting for the writer, beside the posts"
    writer_bytes        67_108_864 65_536 "bytes"        own  "posts waiting for the writer"
    reads_waiting            1_024     16 "reads"        own  "reads waiting for a read connection"
    login_failures_here_per_minute      5      1 "per minute" own "failed logins of one user from one address or known browser"
    login_failures_address_per_minute  30      1 "per minute" own "failed logins from one address"
    login_failures_user_per_hour      100      1 "per hour"   own "failed logins of one user, but for browsers that signed in before"
    rate_keys              100_000    100 "keys"         own  "addresses or users that each rate is kept for at once"
    hashes                       4      1 "hashes"       own  "password hashes computed at once, each in 19 MiB that are kept"
    oidc_exchanges              32      1 "sign-ins"     own  "sign-ins that are settled with the provider at once"
    hashes_waiting              64      1 "hashes"       own  "password hashes waiting for their turn"
    hashes_user                  2      1 "hashes"       own  "password hashes running or waiting for one user's logins, and as many for browsers that signed in before"
    hashes_address               8      1 "hashes"       own  "password hashes running or waiting for one address"
}
