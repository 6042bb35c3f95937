//! Headers of senders that travel with their profiles.

use alloy_syntax::Invalid;
use http::{HeaderMap, HeaderName, header};

/// The names of those headers.
#[derive(Debug, Default)]
pub(super) struct ForwardHeaders(Vec<HeaderName>);

/// Those that are about one connection or one body, and mean another one further on.
const OF_THE_CALL: [HeaderName; 15] = [
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::HOST,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("connect-protocol-version"),
    HeaderName::from_static("connect-timeout-ms"),
];

impl ForwardHeaders {
    /// Of `forward_headers`.
    ///
    /// # Errors
    /// What names no header, or one that is not the sender's to say.
    pub(super) fn new(names: &[String]) -> Result<Self, Invalid> {
        let refused = |message: String| Invalid::attribute("forward_headers", message);
        let mut headers = Vec::with_capacity(names.len());
        for name in names {
            let header =
                HeaderName::try_from(name).map_err(|_| refused(format!("{name:?}: no header has such a name")))?;
            if OF_THE_CALL.contains(&header) {
                return Err(refused(format!("{name:?} is about the sender's own request, and cannot be forwarded")));
            }
            if !headers.contains(&header) {
                headers.push(header);
            }
        }
        Ok(Self(headers))
    }

    /// Those of them that a request has.
    pub(super) fn of(&self, request: &HeaderMap) -> HeaderMap {
        let mut forwarded = HeaderMap::new();
        for name in &self.0 {
            for value in request.get_all(name) {
                forwarded.append(name, value.clone());
            }
        }
        forwarded
    }
}
