//! The files of the page, out of the binary: named by a version that they all share, and packed where the browser takes that.
//! Why so: "Files of the page are named by their version" in src/docs/decisions/http.md.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::LazyLock,
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, ContentEncoding, ETag, EntityTag, Header, IfNoneMatch},
    web,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use rust_embed::Embed;
use sha2::{Digest, Sha256};

use super::protection::Protection;
use crate::{
    error::{Code, Error},
    rest::packed::takes_gzip,
};

const PAGE: &str = "index.html";
const CLIENT: &str = "hailgate.js";
/// Keeps the page's files in the browser.
const WORKER: &str = "worker.js";

/// Asked for again at every load, and sent again only if it has changed.
const ASK_AGAIN: &str = "no-cache";
/// The address names the content, so that nobody needs to ask again.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

#[derive(Embed)]
#[folder = "static/"]
struct Embedded;

/// One file as it is sent.
struct File {
    plain: Bytes,
    /// None if packing failed: then it is sent as it is.
    packed: Option<Bytes>,
    hash: String,
    media_type: &'static str,
    protection: Protection,
}

/// All of them, made once a process. They are the same for everybody and hold no secret, which compression could tell.
struct Files {
    version: String,
    by_name: BTreeMap<String, File>,
    /// `index.html`, in which each file is named with the version.
    page: File,
    /// `hailgate.js`, which imports its parts from the folder below.
    client: File,
}

static FILES: LazyLock<Files> = LazyLock::new(Files::read);

/// `GET /`.
pub async fn page(request: HttpRequest) -> HttpResponse {
    serve(&request, &FILES.page, ASK_AGAIN)
}

/// `GET /hailgate.js`.
pub async fn client(request: HttpRequest) -> HttpResponse {
    serve(&request, &FILES.client, ASK_AGAIN)
}

/// `GET /favicon.ico`, which browsers ask for unasked.
pub async fn icon(request: HttpRequest) -> Result<HttpResponse, Error> {
    Ok(serve(&request, found("icon.svg")?, ASK_AGAIN))
}

/// `GET /static/{file}`, of whichever version the server is.
pub async fn file(request: HttpRequest, name: web::Path<String>) -> Result<HttpResponse, Error> {
    let mut response = serve(&request, found(&name)?, ASK_AGAIN);
    if *name == WORKER {
        // It stands among the files and serves the page above them.
        let scope = header::HeaderName::from_static("service-worker-allowed");
        response.headers_mut().insert(scope, header::HeaderValue::from_static("/"));
    }
    Ok(response)
}

/// `GET /static/{version}/{file}`, of this version and no other.
pub async fn versioned(request: HttpRequest, path: web::Path<(String, String)>) -> Result<HttpResponse, Error> {
    let (version, name) = path.into_inner();
    if version != FILES.version {
        // Never the file of another version: page, modules and server belong together.
        return Err(Error::new(Code::NotFound, "The server has another version of this file. Load the page again."));
    }
    Ok(serve(&request, found(&name)?, FOR_EVER))
}

/// The version in the addresses of the page's files: a hash of them all.
pub fn version() -> &'static str {
    &FILES.version
}

fn found(name: &str) -> Result<&'static File, Error> {
    FILES.by_name.get(name).ok_or_else(|| Error::new(Code::NotFound, "There is no such file."))
}

impl Files {
    fn read() -> Files {
        let mut contents = BTreeMap::new();
        let mut hasher = Sha256::new();
        for name in Embedded::iter() {
            let Some(file) = Embedded::get(&name) else { continue };
            contents.insert(name.into_owned(), file.data.into_owned());
        }
        for (name, content) in &contents {
            hasher.update(format!("{name} {}\n", content.len()));
            hasher.update(content);
        }
        let version = hex::encode(&hasher.finalize()[..8]);
        let changed = |name: &str, from: &str, to: &str| {
            let content = contents.get(name).map(|content| String::from_utf8_lossy(content).replace(from, to));
            File::new(name, content.unwrap_or_default().into_bytes())
        };
        Files {
            page: changed(PAGE, "=\"/static/", &format!("=\"/static/{version}/")),
            client: changed(CLIENT, " from './", " from '/static/"),
            by_name: contents.iter().map(|(name, content)| (name.clone(), File::new(name, content.clone()))).collect(),
            version,
        }
    }
}

impl File {
    fn new(name: &str, content: Vec<u8>) -> File {
        let media_type = media_type(name);
        // A picture of this kind may hold scripts, and a worker runs some: both keep to the page's rules.
        let acts = name == WORKER || ["text/html; charset=utf-8", "image/svg+xml"].contains(&media_type);
        File {
            packed: packed(&content).ok(),
            hash: hex::encode(&Sha256::digest(&content)[..16]),
            plain: content.into(),
            media_type,
            protection: if acts { Protection::Document } else { Protection::File },
        }
    }
}

fn serve(request: &HttpRequest, file: &File, caching: &'static str) -> HttpResponse {
    let packed = file.packed.as_ref().filter(|_| takes_gzip(request));
    // Two forms of one file are two entities, and a strong tag names one (RFC 9110 section 8.8.3.3).
    let form = if packed.is_some() { "-gzip" } else { "" };
    let tag = EntityTag::new_strong(format!("{}{form}", file.hash));
    let same = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|other| other.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if same { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::CACHE_CONTROL, caching)).insert_header(ETag(tag));
    response.insert_header((header::VARY, "Accept-Encoding"));
    // Also of a 304, whose headers a browser puts in place of those it has kept (RFC 9111 section 3.2).
    response.extensions_mut().insert(file.protection);
    if same {
        return response.finish();
    }
    response.insert_header((header::CONTENT_TYPE, file.media_type));
    match packed {
        Some(packed) => response.insert_header(ContentEncoding::Gzip).body(packed.clone()),
        None => response.body(file.plain.clone()),
    }
}

fn packed(content: &[u8]) -> io::Result<Bytes> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(content)?;
    packer.finish().map(Bytes::from)
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
