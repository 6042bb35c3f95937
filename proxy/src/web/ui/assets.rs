//! What pages load besides: a style sheet and scripts, compiled in.

use std::io::Write;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// A file that pages load.
pub(super) struct Asset {
    name: &'static str,
    content_type: &'static str,
    gzipped: Bytes,
    /// Changes with its content: what has one may be kept for ever.
    version: String,
}

static ASSETS: LazyLock<[Asset; 5]> = LazyLock::new(|| {
    const CSS: &str = "text/css; charset=utf-8";
    const JS: &str = "text/javascript; charset=utf-8";
    [
        Asset::new("style.css", CSS, include_str!("assets/style.css")),
        Asset::new("icon.svg", "image/svg+xml", include_str!("assets/icon.svg")),
        Asset::new("live.js", JS, include_str!("assets/live.js")),
        Asset::new("flame.js", JS, include_str!("assets/flame.js")),
        Asset::new("tap.js", JS, include_str!("assets/tap.js")),
    ]
});

impl Asset {
    fn new(name: &'static str, content_type: &'static str, content: &str) -> Self {
        let digest = Sha256::digest(content);
        let version = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self { name, content_type, gzipped: gzip(content.as_bytes(), Compression::best()), version }
    }
}

/// The path under which a file is loaded.
pub(super) fn url(name: &str) -> String {
    let version = ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| &asset.version);
    format!("/assets/{name}?v={version}")
}

pub(super) async fn asset(Path(name): Path<String>) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return (StatusCode::NOT_FOUND, "no such file\n").into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, asset.content_type),
        // No browser is without it.
        (header::CONTENT_ENCODING, "gzip"),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, asset.gzipped.clone()).into_response()
}

/// Compressed in memory.
pub(super) fn gzip(content: &[u8], level: Compression) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    // Writing to memory does not fail.
    let written = encoder.write_all(content).and_then(|()| encoder.finish());
    written.unwrap_or_default().into()
}
