//! The page and the client library, out of the binary.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ETag, EntityTag, Header, IfNoneMatch},
    web,
};
use rust_embed::Embed;

use crate::error::{Code, Error};

#[derive(Embed)]
#[folder = "static/"]
struct Files;

/// `GET /`.
pub async fn page(request: HttpRequest) -> Result<HttpResponse, Error> {
    serve(&request, "index.html")
}

/// `GET /hailgate.js`.
pub async fn client(request: HttpRequest) -> Result<HttpResponse, Error> {
    serve(&request, "hailgate.js")
}

/// `GET /favicon.ico`, which browsers ask for unasked.
pub async fn icon(request: HttpRequest) -> Result<HttpResponse, Error> {
    serve(&request, "icon.svg")
}

/// `GET /static/{file}`.
pub async fn file(request: HttpRequest, name: web::Path<String>) -> Result<HttpResponse, Error> {
    serve(&request, &name)
}

fn serve(request: &HttpRequest, name: &str) -> Result<HttpResponse, Error> {
    // A name with a path in it names nothing: every file lies in one folder.
    let found = if name.contains(['/', '\\', '\0']) { None } else { Files::get(name) };
    let file = found.ok_or_else(|| Error::new(Code::NotFound, "There is no such file."))?;
    let tag = EntityTag::new_strong(hex::encode(&file.metadata.sha256_hash()[..16]));
    let same = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|other| other.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if same { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    // Checked at every load, so that page and server are never of two versions.
    response.insert_header((header::CACHE_CONTROL, "no-cache")).insert_header(ETag(tag));
    if same {
        return Ok(response.finish());
    }
    Ok(response.insert_header((header::CONTENT_TYPE, media_type(name))).body(file.data.into_owned()))
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    }
}
