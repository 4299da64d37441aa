//! Echoes WebSocket messages over the transports of the gateway, so that any conformance suite can drive them:
//! `cargo run --release --example echo -- --transport web_actors --bind 127.0.0.1:9001`. Text and binary, up to 16 MiB a
//! message, in as many fragments as it comes in.

use std::{future::poll_fn, io, net::TcpListener, rc::Rc, time::Duration};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use clap::{Parser, ValueEnum};
use hailgate::{
    domain::Limits,
    error::Error,
    hub::{Closing, Inbound, LAST_WORDS, Line},
    socket::{Cut, Cutter, UpgradeSlot, gate::Gate, web_actors},
};

const MESSAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;

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
        Transport::WebActors => {
            HttpServer::new(|| App::new().default_service(web::to(upgrade)))
                .on_connect(Cutter::on_connect)
                // The library would read on after the closing handshake, where the server has to end TCP at once.
                .client_disconnect_timeout(Duration::ZERO)
                .listen(port)?
                .run()
                .await
        }
    }
}

async fn upgrade(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Error> {
    let payload = payload.into_inner();
    let slot = UpgradeSlot::of(request.head(), &payload)?;
    let limits = limits();
    let line = Rc::new(Line::new(&limits));
    let cut = Cut::of(&request);
    line.set_cut(move || cut.now());
    let gate = Gate::of(&limits).and_binary();
    let response = web_actors::upgrade(&request, payload, slot, Rc::clone(&line), gate)?;
    actix_web::rt::spawn(echo(line));
    Ok(response)
}

fn limits() -> Limits {
    // Of what waits for the client, a quarter may be there when the next message is taken.
    Limits { frame_bytes: MESSAGE_BYTES_MAX, fragments: u64::MAX, outbox_bytes: 4 * MESSAGE_BYTES_MAX, ..Limits::default() }
}

/// In the place of the gateway's connection: takes from the line and sends back, as fast as the client reads.
async fn echo(line: Rc<Line>) {
    line.set_reading(true);
    loop {
        line.has_room().await;
        match poll_fn(|cx| line.poll_inbound(cx)).await {
            Some(Inbound::Text(text)) => line.send(text),
            Some(Inbound::Binary(data)) => line.send_binary(data),
            Some(Inbound::Control) => {}
            Some(Inbound::Fault(code)) => {
                line.finish_without_words(Closing::from(code));
                break;
            }
            Some(Inbound::Closed) | None => break,
        }
    }
    if tokio::time::timeout(LAST_WORDS, line.ended()).await.is_err() {
        line.cut();
    }
}
