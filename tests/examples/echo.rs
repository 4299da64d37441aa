//! Echoes WebSocket messages over the transports of the gateway, so that any conformance suite can drive them:
//! `cargo run --release --example echo -- --transport upgrade|web_actors --bind 127.0.0.1:9001`. Text and binary, up to 16 MiB a
//! message, in as many fragments as it comes in.

use std::{
    future::{poll_fn, ready},
    io,
    net::TcpListener,
    pin::Pin,
    rc::Rc,
    time::Duration,
};

use actix_http::HttpService;
use actix_server::Server;
use actix_service::{ServiceFactory, fn_factory, map_config};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, dev::AppConfig, web};
use clap::{Parser, ValueEnum};
use futures_util::Stream;
use hailgate::{
    connection_io::{CLOSE_TIMEOUT, Closing, ConnectionIo, Inbound},
    domain::Limits,
    error::Error,
    socket::{self, Cutter, Frames, UpgradeSlot, gate::Gate, upgrade},
};

const MESSAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Time for the head of a request to arrive: the library gives 5 s, which a process among many may wait for its turn.
const HEAD: Duration = Duration::from_secs(60);

/// Echoes WebSocket messages on every path.
#[derive(Debug, Parser)]
struct Args {
    #[arg(long, value_enum)]
    transport: Transport,
    /// Listen address, like 127.0.0.1:9001.
    #[arg(long, value_name = "ADDRESS")]
    bind: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Transport {
    /// The raw upgraded stream.
    Upgrade,
    /// The adapter on actix-web-actors.
    #[value(name = "web_actors")]
    WebActors,
}

#[actix_web::main]
async fn main() -> io::Result<()> {
    let Args { transport, bind } = Args::parse();
    let port = TcpListener::bind(bind)?;
    println!("listening on http://{}", port.local_addr()?);
    match transport {
        Transport::Upgrade => Server::build().listen("echo", port, || fn_factory(service))?.run().await,
        Transport::WebActors => {
            HttpServer::new(|| App::new().default_service(web::to(open)))
                .on_connect(Cutter::on_connect)
                // The library would read on after the closing handshake, where the server has to end TCP at once.
                .client_disconnect_timeout(Duration::ZERO)
                .client_request_timeout(HEAD)
                .listen(port)?
                .run()
                .await
        }
    }
}

/// The App, and upgrades in front of it.
async fn service() -> Result<impl actix_service::Service<actix_web::rt::net::TcpStream, Response = ()>, ()> {
    let app = App::new().default_service(web::to(open));
    let app = Rc::new(map_config(app, |()| AppConfig::default()).new_service(()).await?);
    let upgrades = upgrade::service(Rc::clone(&app));
    let plain = fn_factory(move || ready(Ok::<_, ()>(Rc::clone(&app))));
    HttpService::build()
        .client_request_timeout(HEAD)
        .on_connect_ext(Cutter::install)
        .upgrade(upgrades)
        .finish(plain)
        .tcp()
        .new_service(())
        .await
}

async fn open(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Error> {
    let payload = payload.into_inner();
    let slot = UpgradeSlot::of(&request, &payload)?;
    let limits = limits();
    let io = Rc::new(ConnectionIo::new(&limits));
    let gate = Gate::of(&limits).and_binary();
    let echoing = Rc::clone(&io);
    let start = |frames| drop(actix_web::rt::spawn(echo(echoing, frames)));
    socket::accept(&request, payload, slot, &io, gate, start)
}

fn limits() -> Limits {
    // Of what waits for the client, a quarter may be there when the next message is taken.
    Limits { frame_bytes: MESSAGE_BYTES_MAX, fragments: u64::MAX, outbox_bytes: 4 * MESSAGE_BYTES_MAX, ..Limits::default() }
}

/// In the place of the gateway's connection: takes what comes and sends it back, as fast as the client reads.
async fn echo(io: Rc<ConnectionIo>, mut frames: Frames) {
    loop {
        // What waits for the client is written in the same turn in which the next frame is looked for.
        let next = poll_fn(|cx| {
            io.set_reading(io.poll_page_room(cx).is_ready());
            Pin::new(&mut frames).poll_next(cx)
        });
        match next.await {
            Some(Inbound::Text(text)) => io.send((&*text).into()),
            Some(Inbound::Binary(data)) => io.send_binary(&data),
            Some(Inbound::Control | Inbound::Fragment) => {}
            Some(Inbound::Fault(code)) => {
                io.send_close(Closing::from(code));
                break;
            }
            Some(Inbound::Closed) | None => break,
        }
    }
    let end = async { while poll_fn(|cx| Pin::new(&mut frames).poll_next(cx)).await.is_some() {} };
    if tokio::time::timeout(CLOSE_TIMEOUT, end).await.is_err() {
        io.abort();
    }
}
