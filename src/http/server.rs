//! The server: the port, the signals, and the end in good order.

use std::{
    future::ready,
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_http::{Extensions, Protocol, error::DispatchError};
use actix_server::Server;
use actix_service::{ServiceFactory, ServiceFactoryExt, fn_factory, fn_service};
use actix_tls::accept::{
    TlsError, max_concurrent_tls_connect,
    rustls_0_23::{Acceptor, TlsStream},
};
use actix_web::rt::net::TcpStream;

use super::{
    descriptors::Descriptors,
    gateway::{Gateway, SystemClock},
    signals::Signals,
    tls::Tls,
};
use crate::{
    node::Node,
    socket::{
        Encrypted,
        accepted::{Accepted, Connections},
    },
};

/// Seconds that requests under way get after the connections have left.
const FINISH: u64 = 5;

/// How often what is over its time is cleared away: logins and what they left, and the oldest of the log.
const SWEEP: Duration = Duration::from_secs(60);

/// Serves until a signal says to end, then drains: ready turns 503 and nobody is admitted while the port stays open;
/// every connection is sent away, spread over time; when the last has left, or the time is over, the server stops and
/// the writer writes what is queued. A second signal ends the waiting, a third the process at once. A hangup ends nothing:
/// it calls `reload`, which reads again what may change while the server runs.
///
/// # Errors
/// If the port or the signals are not to be had.
pub async fn run(
    gateway: Gateway,
    port: TcpListener,
    workers: usize,
    descriptors: Descriptors,
    tls: Option<Tls>,
    signals: Signals,
    reload: impl Fn(),
) -> std::io::Result<()> {
    let gateway = Arc::new(gateway);
    // At the library's limit clients would hang. Sockets are refused below it, at admission, and idle connections end before it.
    let bounds = descriptors.of_a_worker(&gateway.node.limits);
    let each = Arc::clone(&gateway);
    let server = Server::build().disable_signals().workers(workers).shutdown_timeout(FINISH);
    let server = server.max_concurrent_connections(bounds.all_max);
    let server = match tls {
        None => server.listen("hailgate", port, move || {
            let gateway = Arc::clone(&each);
            fn_factory(move || {
                let gateway = Arc::clone(&gateway);
                async move {
                    let accepted = accept::<DispatchError>(Connections::new(bounds)).map(spoken);
                    accepted.and_then(gateway.service(Accepted::install).await?).new_service(()).await
                }
            })
        }),
        Some(tls) => {
            max_concurrent_tls_connect(bounds.handshakes_max());
            server.listen("hailgate", port, move || {
                let (gateway, tls) = (Arc::clone(&each), tls.clone());
                fn_factory(move || {
                    let (gateway, tls) = (Arc::clone(&gateway), tls.server());
                    async move {
                        let http = gateway.service(under_tls).await?;
                        let accepted = accept::<TlsError<io::Error, DispatchError>>(Connections::new(bounds));
                        let secured = accepted.and_then(Acceptor::new(tls).map_err(TlsError::into_service_error));
                        secured.map(spoken_under_tls).and_then(http.map_err(TlsError::Service)).new_service(()).await
                    }
                })
            })
        }
    };
    until_signal(&gateway, server?.run(), signals, reload).await
}

fn under_tls(io: &TlsStream<Accepted>, data: &mut Extensions) {
    Accepted::install(io.get_ref().0, data);
    data.insert(Encrypted);
}

/// A connection with the protocol it speaks and its peer's address: what the HTTP service takes.
type Negotiated<T> = (T, Protocol, Option<SocketAddr>);

/// Takes connections into the budget of a worker, before anything else is done with them.
fn accept<E: 'static>(
    connections: Connections,
) -> impl ServiceFactory<TcpStream, Config = (), Response = Accepted, Error = E, InitError = ()> {
    fn_service(move |io: TcpStream| ready(Ok::<_, E>(connections.accept(io))))
}

fn spoken(io: Accepted) -> Negotiated<Accepted> {
    let peer = io.peer();
    (io, Protocol::Http1, peer)
}

fn spoken_under_tls(io: TlsStream<Accepted>) -> Negotiated<TlsStream<Accepted>> {
    let peer = io.get_ref().0.peer();
    (io, Protocol::Http1, peer)
}

/// The life of a server from its first request to its end, and what a gateway does beside it.
pub(super) async fn until_signal(
    gateway: &Gateway,
    server: Server,
    mut signals: Signals,
    reload: impl Fn(),
) -> std::io::Result<()> {
    let (node, tokens) = (&gateway.node, Arc::clone(&gateway.admission.tokens));
    let fresh = actix_rt::spawn(async move { tokens.keep_fresh(Arc::new(SystemClock)).await });
    // A task of its own: a writer that hangs must not keep the signals from being heard.
    let sweeping = actix_rt::spawn(sweep(Arc::clone(node)));
    let handle = server.handle();
    let serving = actix_rt::spawn(server);
    loop {
        tokio::select! {
            () = signals.asked(1) => break,
            () = signals.hung_up() => reload(),
        }
    }
    sweeping.abort();
    log::info!("draining: sending every connection away");
    let mut in_order = tokio::select! {
        left = node.drain() => {
            if !left {
                log::warn!("the time to drain is over; cutting the connections that are left");
            }
            true
        }
        () = signals.asked(2) => false,
    };
    node.begin_shutdown();
    gateway.stopping.send_replace(true);
    tokio::select! {
        () = handle.stop(in_order) => {}
        () = signals.asked(2), if in_order => in_order = false,
    }
    let written = node.shut_down().await;
    fresh.abort();
    if in_order {
        serving.await.unwrap_or_else(|error| Err(std::io::Error::other(error)))?;
    }
    if !written {
        return Err(std::io::Error::other(
            "the store took too long to write what was queued: what was not acknowledged may be lost",
        ));
    }
    log::info!("ended");
    Ok(())
}

/// Clears away what is over its time, for ever.
async fn sweep(node: Arc<Node>) {
    let mut sweep = tokio::time::interval(SWEEP);
    loop {
        sweep.tick().await;
        if node.sweep().await {
            sweep.reset_immediately();
        }
    }
}
