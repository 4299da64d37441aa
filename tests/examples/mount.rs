//! The gateway mounted in an actix-web App beside a route of its own; configured by variables, like `hailgate serve`.

use std::sync::Arc;

use actix_web::{App, HttpServer, web};
use hailgate::{config::Config, http::gateway::Gateway, socket::Cutter};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init_from_env(env_logger::Env::default().default_filter_or("info"));
    let config = Config::of_environment().map_err(hailgate::http::open::StartError::from)?;
    let gateway = Gateway::open(&config).await?;
    let mounted = Arc::clone(&gateway);
    let app = move || App::new().route("/own", web::get().to(|| async { "mine" })).configure(|app| mounted.configure(app));
    let server = HttpServer::new(app).on_connect(Cutter::on_connect).h1_allow_half_closed(false).disable_signals();
    let server = server.bind(config.bind)?;
    log::info!("listening on http://{}", server.addrs()[0]);
    Ok(gateway.run(server.run()).await?)
}
