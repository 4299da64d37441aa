//! The gateway in somebody's own actix-web App; a whole program that does it is `tests/examples/mount.rs`.
//!
//! Decisions: `src/docs/decisions/mounting.md`.

use actix_server::Server;
use actix_web::web;

use super::{gateway::Gateway, routes, server, signals::Signals};

impl Gateway {
    /// Mounts the gateway: its routes, with all that is wrapped around them in the one order that is right. Sockets go over
    /// actix-web-actors. Whatever the App has been given before keeps its paths, and the gateway takes every other, to
    /// answer 404 where it has none: so it comes last.
    ///
    /// ```
    /// use actix_web::{App, web};
    /// # fn shown(gateway: &hailgate::http::gateway::Gateway) {
    /// App::new().route("/own", web::get().to(|| async { "mine" })).configure(|app| gateway.configure(app));
    /// # }
    /// ```
    ///
    /// The server around it is yours, and these are for it to set, with reasons:
    ///
    /// - `.on_connect(Cutter::on_connect)`. A client that does not read is cut from outside, through a second descriptor that
    ///   [`Cutter`](crate::socket::Cutter) takes here; what is written goes out at once. Without it, cutting is best effort,
    ///   and happens when the system notices; and a request behind the last one of its connection (a refused upgrade,
    ///   `Connection: close`, HTTP/1.0, a body in chunks, a malformed `Host`) may be carried out.
    ///   Over HTTP/2 requests share their connection, so none is held or cut there: a client that stops reading an event
    ///   stream keeps it until its connection ends, for which your server's own keep-alive and timeouts are responsible.
    /// - `.h1_allow_half_closed(false)`. Else a long poll whose client has gone waits to its end.
    /// - `.max_connections`, a worker's share of the file descriptors: the gateway ends idle connections where they become
    ///   scarce only on a port of its own. Sockets, streams and polls are refused before they use the descriptors up.
    /// - `.disable_signals()`, and [`Gateway::run`] to run it: the connections are sent away before the server stops.
    pub fn configure(&self, app: &mut web::ServiceConfig) {
        let routes = web::scope("").configure(|app| self.register_app_data(app)).configure(routes::configure);
        app.service(routes.wrap(self.stack()).wrap(self.cors()).wrap(self.telemetry()));
    }

    /// Runs a server that the gateway is mounted in until a signal ends it, in good order: nobody is admitted any more, every
    /// connection is sent away, the server stops, what is queued is written. Beside it expired logins and old messages are
    /// cleared away, and keys of outside issuers kept fresh.
    ///
    /// # Errors
    /// Those of the server, and if the signals are not to be had.
    pub async fn run(&self, server: Server) -> std::io::Result<()> {
        let no_reload = || log::warn!("keys are read at the start: start again to put others in force");
        server::until_signal(self, server, Signals::listen()?, no_reload).await
    }
}
