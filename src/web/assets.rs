//! The files under `static/`, inside the program: addresses carry a version, so browsers keep them for good.

use axum::{
    extract::{Path, RawQuery},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "static/"]
struct Assets;

/// Characters of the content's hash that stand in an address.
const VERSION_LENGTH: usize = 12;

fn version(file: &EmbeddedFile) -> String {
    let digits = file.metadata.sha256_hash().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    digits.chars().take(VERSION_LENGTH).collect()
}

/// `/static/css/laurel.css?v=0123456789ab`.
pub fn address(path: &str) -> String {
    match Assets::get(path) {
        Some(file) => format!("/static/{path}?v={}", version(&file)),
        None => format!("/static/{path}"),
    }
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// `GET /static/{path}`. An address with its version is kept for good; one without (a module that another one imports) is asked
/// for again each time, and answered with 304 while it is the same.
pub async fn serve(Path(path): Path<String>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let Some(file) = Assets::get(&path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{}\"", version(&file));
    let versioned = query.is_some_and(|query| query.starts_with("v="));
    let kept = if versioned { "public, max-age=31536000, immutable" } else { "no-cache" };
    let caching = [(header::CACHE_CONTROL, kept.to_owned()), (header::ETAG, tag.clone())];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(header::CONTENT_TYPE, media_type(&path))], file.data).into_response()
}
