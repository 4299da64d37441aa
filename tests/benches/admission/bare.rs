//! The bare server: the same framework with one worker, and handlers that ask nobody who they are.

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use actix_web_actors::ws::{self, WebsocketContext};

/// With this argument the benchmark is the bare server.
pub const ARGUMENT: &str = "--be-the-bare-server";

struct Silent;

impl actix::Actor for Silent {
    type Context = WebsocketContext<Self>;
}

impl actix::StreamHandler<Result<ws::Message, ws::ProtocolError>> for Silent {
    fn handle(&mut self, _: Result<ws::Message, ws::ProtocolError>, _: &mut Self::Context) {}
}

async fn upgrade(request: HttpRequest, stream: web::Payload) -> actix_web::Result<HttpResponse> {
    ws::WsResponseBuilder::new(Silent, &request, stream).start()
}

/// Serves until its parent is gone.
pub fn serve() {
    actix::System::new().block_on(async {
        let app = || {
            let bare = web::resource("/bare").route(web::get().to(|| async { HttpResponse::Ok().json("bare") }));
            App::new().service(bare).service(web::resource("/ws").route(web::get().to(upgrade)))
        };
        let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0").expect("a port");
        println!("listening on http://{}", server.addrs()[0]);
        std::thread::spawn(|| {
            let _ = std::io::stdin().read_line(&mut String::new());
            actix::System::try_current().map_or_else(|| std::process::exit(0), |system| system.stop());
        });
        server.run().await.expect("it serves");
    });
}
