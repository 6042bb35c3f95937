//! Whether what a target answered is a profile.

/// Why it is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoProfile {
    #[error("missing Content-Type header")]
    NoContentType,
    #[error("unexpected Content-Type {0}, expected application/octet-stream for pprof data")]
    ContentType(String),
    #[error("text response instead of pprof: {0:?} (server should return HTTP error, not 200)")]
    Text(String),
    #[error("data too short for pprof format")]
    TooShort,
    #[error("invalid protobuf data: illegal wireType {wire_type} (expected 0-5), first bytes: {first}")]
    WireType { wire_type: u8, first: String },
}

/// Bytes of a text that are shown.
const SHOWN: usize = 50;
/// Shorter ones may be profiles that only look like texts.
const SHORTEST_TEXT: usize = 10;
const SHORTEST_JSON: usize = 21;
/// Blanks before a text that are skipped.
const MOST_BLANKS: usize = 64;

/// Looks at the beginning alone: the rest is the backend's to read.
pub(super) fn check(body: &[u8], content_type: &[u8]) -> Result<(), NoProfile> {
    if content_type.is_empty() {
        return Err(NoProfile::NoContentType);
    }
    if !content_type.starts_with(b"application/octet-stream") {
        return Err(NoProfile::ContentType(String::from_utf8_lossy(content_type).into_owned()));
    }
    if is_text(body) {
        let beginning = body.get(..SHOWN).unwrap_or(body);
        return Err(NoProfile::Text(String::from_utf8_lossy(beginning).into_owned()));
    }
    match body {
        [] | [_] | [_, _] => Err(NoProfile::TooShort),
        [0x1f, 0x8b, ..] => Ok(()),
        [first, ..] if first & 7 >= 6 => {
            let first_bytes = body.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
            Err(NoProfile::WireType { wire_type: first & 7, first: first_bytes })
        }
        _ => Ok(()),
    }
}

fn is_text(body: &[u8]) -> bool {
    body.len() >= SHORTEST_TEXT && (is_html(body) || is_json(body))
}

fn is_html(body: &[u8]) -> bool {
    match body.trim_ascii_start() {
        [b'<', b'!', b'D' | b'd', rest @ ..] => rest.len() >= 6,
        [b'<', b'h' | b'H' | b'b' | b'B' | b't' | b'T', rest @ ..] => rest.len() >= 3,
        _ => false,
    }
}

fn is_json(body: &[u8]) -> bool {
    let first = body.iter().take(MOST_BLANKS).find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'[')) && body.len() >= SHORTEST_JSON
}
