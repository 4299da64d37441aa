//! The servers beside ours, written as their documentation shows: an actor a connection by actix-web-actors with a hub that
//! sends each listener its copy, and a bare route that verifies a token and nothing else. One worker, `TCP_NODELAY`.

use std::collections::HashMap;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, StreamHandler};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use actix_web_actors::ws::{self, WebsocketContext};
use bytestring::ByteString;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use crate::sides::{SECRET, Server};

/// With this argument the program is that server.
pub const ARGUMENT: &str = "--be-a-rival";

/// Who is in which room.
#[derive(Default)]
struct Hub {
    rooms: HashMap<String, HashMap<usize, Addr<Session>>>,
    joined: usize,
}

impl Actor for Hub {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(usize)]
struct Join(String, Addr<Session>);

#[derive(Message)]
#[rtype("()")]
struct Leave(String, usize);

#[derive(Message)]
#[rtype("()")]
struct Say(String, ByteString);

#[derive(Message)]
#[rtype("()")]
struct Deliver(ByteString);

impl Handler<Join> for Hub {
    type Result = usize;

    fn handle(&mut self, Join(room, session): Join, _: &mut Self::Context) -> usize {
        self.joined += 1;
        self.rooms.entry(room).or_default().insert(self.joined, session);
        self.joined
    }
}

impl Handler<Leave> for Hub {
    type Result = ();

    fn handle(&mut self, Leave(room, number): Leave, _: &mut Self::Context) {
        if let Some(room) = self.rooms.get_mut(&room) {
            room.remove(&number);
        }
    }
}

impl Handler<Say> for Hub {
    type Result = ();

    fn handle(&mut self, Say(room, text): Say, _: &mut Self::Context) {
        self.rooms.get(&room).into_iter().flat_map(HashMap::values).for_each(|each| each.do_send(Deliver(text.clone())));
    }
}

/// One connection.
struct Session {
    hub: Addr<Hub>,
    room: String,
    number: usize,
}

impl Actor for Session {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        use actix::{ActorFutureExt as _, ContextFutureSpawner as _, WrapFuture as _};
        let joining = self.hub.send(Join(self.room.clone(), ctx.address())).into_actor(self);
        joining.map(|number, session, _| session.number = number.unwrap_or_default()).wait(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.hub.do_send(Leave(std::mem::take(&mut self.room), self.number));
    }
}

impl Handler<Deliver> for Session {
    type Result = ();

    fn handle(&mut self, Deliver(text): Deliver, ctx: &mut Self::Context) {
        ctx.text(text);
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for Session {
    fn handle(&mut self, frame: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        match frame {
            Ok(ws::Message::Text(text)) => self.hub.do_send(Say(self.room.clone(), text)),
            Ok(ws::Message::Ping(data)) => ctx.pong(&data),
            Ok(ws::Message::Close(_)) | Err(_) => ctx.stop(),
            Ok(_) => {}
        }
    }
}

async fn join(request: HttpRequest, stream: web::Payload, hub: web::Data<Addr<Hub>>) -> actix_web::Result<HttpResponse> {
    let session = Session { hub: hub.get_ref().clone(), room: request.path().to_owned(), number: 0 };
    ws::WsResponseBuilder::new(session, &request, stream).start()
}

/// What a token says.
#[derive(Deserialize)]
struct Claims {
    sub: String,
}

/// What verifies tokens.
struct Verifier(DecodingKey, Validation);

async fn me(request: HttpRequest, verifier: web::Data<Verifier>) -> HttpResponse {
    let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let claims = header
        .and_then(|value| value.strip_prefix("Bearer "))
        .and_then(|token| jsonwebtoken::decode::<Claims>(token, &verifier.0, &verifier.1).ok());
    claims.map_or_else(|| HttpResponse::Unauthorized().finish(), |token| HttpResponse::Ok().json(token.claims.sub))
}

/// Serves until its parent is gone.
pub fn serve() {
    actix::System::new().block_on(async {
        let hub = web::Data::new(Hub::default().start());
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&["hailgate"]);
        validation.set_issuer(&["hailgate"]);
        let verifier = web::Data::new(Verifier(DecodingKey::from_secret(SECRET.as_bytes()), validation));
        let app = move || {
            App::new()
                .app_data(hub.clone())
                .app_data(verifier.clone())
                .route(Server::BARE_PATH, web::get().to(me))
                .route("/room/{room}", web::get().to(join))
        };
        // More waiting connections than a thousand at once would be dropped, and asked for again a second later.
        let server = HttpServer::new(app).workers(1).tcp_nodelay(true).backlog(8192);
        let server = server.bind("127.0.0.1:0").expect("a port");
        println!("listening on http://{}", server.addrs()[0]);
        std::thread::spawn(|| {
            let _ = std::io::stdin().read_line(&mut String::new());
            std::process::exit(0);
        });
        server.run().await.expect("it serves");
    });
}
