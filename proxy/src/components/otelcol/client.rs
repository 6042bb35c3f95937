//! What the clients of both protocols have in common.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy_syntax::{Invalid, TextValue};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::tls::TlsArguments;
use crate::upstream::{Client, Versions};

/// How requests are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    None,
}

impl TextValue for Compression {
    fn parse_text(text: &str) -> Result<Self, String> {
        match text {
            "gzip" => Ok(Self::Gzip),
            "none" | "" => Ok(Self::None),
            "zlib" | "deflate" | "snappy" | "zstd" => {
                Err("is a compression that this version of Flamegate does not have: write \"gzip\" or \"none\""
                    .to_owned())
            }
            _ => Err("must be \"gzip\" or \"none\"".to_owned()),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Gzip => "gzip",
            Self::None => "none",
        }
        .to_owned()
    }
}

/// The `headers` attribute as headers.
pub(super) fn request_headers(written: &BTreeMap<String, String>) -> Result<HeaderMap, Invalid> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let bad = |what: &str| Invalid::attribute("headers", format!("{name:?}: no HTTP header has such a {what}"));
        let header = HeaderName::try_from(name).map_err(|_| bad("name"))?;
        let mut value = HeaderValue::try_from(value).map_err(|_| bad("value"))?;
        // Tokens are among them.
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(headers)
}

/// Refuses a time in which no attempt could succeed.
pub(super) fn check_timeout(timeout: Duration) -> Result<(), Invalid> {
    match timeout.is_zero() {
        true => Err(Invalid::attribute("timeout", "must be longer than 0s: no attempt could succeed")),
        false => Ok(()),
    }
}

/// The HTTP client that a `tls` block asks for. Reads files.
pub(super) fn http_client(tls: &TlsArguments, http2_only: bool) -> Result<Client, Invalid> {
    let versions = if http2_only { Versions::Http2Only } else { Versions::Both };
    let settings = tls.config().settings(versions);
    settings.map(Client::with).map_err(|error| Invalid::attribute("client", format!("tls: {error}")))
}
