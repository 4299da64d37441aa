//! The gateway from outside: the real program on a free port, and clients that know only the wire contract.

mod answer;
mod assets;
mod descent;
mod fake;
mod jwt;
mod liar;
mod people;
#[path = "../provider/mod.rs"]
mod provider;
mod raw;
mod refusals;
mod server;
mod shown;
mod socket;
mod stream;
mod table;

mod backup;
mod bad_bodies;
mod bad_frames;
mod bad_requests;
mod bad_tokens;
mod bench;
mod bounds;
mod broken_protocol;
mod check;
mod check_url;
mod closing;
mod command_line;
mod composition;
mod compression;
mod config_command;
mod cursors;
mod demo;
mod descriptors;
mod edits;
mod every_user;
mod files;
mod head;
mod headers;
mod help;
mod holes;
mod incidents;
mod isolation;
mod issuers;
mod last_requests;
mod limits;
mod live;
mod login;
mod logins;
mod markers;
mod matrix;
mod memory;
mod messages;
mod metadata;
mod oidc;
mod oidc_accounts;
mod oidc_answers;
mod oidc_forged;
mod one_server;
mod origins;
mod output;
mod passwords;
mod polling;
mod preflight;
mod presence;
mod protocol;
mod races;
mod rates;
mod refresh;
mod refresh_on_socket;
mod relaxed;
mod resume;
mod retention;
mod revoke;
mod rotation;
mod secrets;
mod settings;
mod strangers;
mod stream_ends;
mod streaming;
mod system;
mod threads;
mod tickets;
mod tls;
mod tokens;
mod typing;
mod unread_log;
mod upgrades;

use std::{future::Future, time::Duration};

/// What must happen happens within this time; waiting longer is a failure.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for the thing itself, but not for ever.
async fn soon<T>(what: &str, thing: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(DEADLINE, thing).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen within {DEADLINE:?}"))
}
