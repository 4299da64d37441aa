//! The page and the client library, out of the binary, packed where the browser takes that.

use std::{
    collections::HashMap,
    io::{self, Write},
    sync::LazyLock,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, AcceptEncoding, ContentEncoding, ETag, Encoding, EntityTag, Header, IfNoneMatch},
    web,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use rust_embed::Embed;

use crate::error::{Code, Error};

/// Keeps the page's files in the browser.
const WORKER: &str = "worker.js";

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
    let packed = if takes_gzip(request) { PACKED.get(name) } else { None };
    // Two forms of one file are two entities, and a strong tag names one (RFC 9110 section 8.8.3.3).
    let form = if packed.is_some() { "-gzip" } else { "" };
    let tag = EntityTag::new_strong(hex::encode(&file.metadata.sha256_hash()[..16]) + form);
    let same = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|other| other.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if same { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    // Checked at every load, so that page and server are never of two versions.
    response.insert_header((header::CACHE_CONTROL, "no-cache")).insert_header(ETag(tag));
    response.insert_header((header::VARY, "Accept-Encoding"));
    if name == WORKER {
        // It stands among the files and serves the page above them.
        response.insert_header(("Service-Worker-Allowed", "/"));
    }
    if same {
        return Ok(response.finish());
    }
    response.insert_header((header::CONTENT_TYPE, media_type(name)));
    Ok(match packed {
        Some(packed) => response.insert_header(ContentEncoding::Gzip).body(packed.clone()),
        None => response.body(file.data.into_owned()),
    })
}

/// Each file packed, once a process. They are the same for everybody and hold no secret, which compression could tell.
static PACKED: LazyLock<HashMap<String, Bytes>> = LazyLock::new(|| {
    let pack = |name: &str| {
        let file = Files::get(name).ok_or(io::ErrorKind::NotFound)?;
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        packer.write_all(&file.data)?;
        packer.finish().map(Bytes::from)
    };
    // One that could not be packed is sent as it is.
    Files::iter().filter_map(|name| pack(&name).ok().map(|packed| (name.into_owned(), packed))).collect()
});

fn takes_gzip(request: &HttpRequest) -> bool {
    let supported = [Encoding::gzip(), Encoding::identity()];
    let accepted = AcceptEncoding::parse(request).ok();
    accepted.is_some_and(|accepted| accepted.negotiate(supported.iter()) == Some(Encoding::gzip()))
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
