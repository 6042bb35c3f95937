//! Requests to `/ingest`: the query that carries the series' name and says how the body is to be read.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use profiler_core::labels::Labels;

use super::{KnownLabels, ingest_name};

/// Path of the API behind a backend's base path.
pub const PATH: &str = "/ingest";

/// What Go's `url.QueryEscape` leaves as it is; a space becomes `+`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The labels that the first `name` says; none where it is absent or empty.
pub fn labels(query: &str, known: &KnownLabels) -> Result<Labels, UnreadableName> {
    let Some(name) = raw_parameter(query, b"name").filter(|name| !name.is_empty()) else { return Ok(Labels::empty()) };
    known.read(name.as_bytes(), |_| {
        let name = unescape(name);
        ingest_name::parse_bytes(&name)
            .map_err(|error| UnreadableName { name: String::from_utf8_lossy(&name).into_owned(), error })
    })
}

/// A `name` that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct UnreadableName {
    /// The name; what was not UTF-8 is replaced.
    pub name: String,
    /// What is wrong with it.
    #[source]
    pub error: ingest_name::NameError,
}

/// The value of the first `format`, decoded.
pub fn format(query: &str) -> Option<Cow<'_, [u8]>> {
    parameter(query, "format")
}

/// The value of the first parameter of this name, decoded.
pub fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, [u8]>> {
    raw_parameter(query, name.as_bytes()).map(unescape)
}

/// Where the samples of a body stand, and their labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Samples {
    /// The body is a pprof.
    Pprof,
    /// In a form's parts `profile` and `prev_profile`, each a pprof.
    PprofForm,
    /// In a form's part `labels`, a snapshot of the Java SDK's dynamic labels beside a JFR.
    JfrForm,
    /// In a JFR, whose samples have no labels of their own.
    Jfr,
    /// In a format without labels of samples, or one that is not read here.
    Other,
}

impl Samples {
    /// As servers tell it, from the query and the Content-Type.
    pub fn of(query: &str, content_type: &[u8]) -> Self {
        let is_form = is_form(content_type);
        match format(query).as_deref() {
            Some(b"jfr") if is_form => Self::JfrForm,
            Some(b"jfr") => Self::Jfr,
            Some(b"trie" | b"tree" | b"lines" | b"speedscope") => Self::Other,
            _ if is_form => Self::PprofForm,
            Some(b"pprof") => Self::Pprof,
            _ => Self::Other,
        }
    }
}

/// Whether a body of this Content-Type is a form of several parts.
pub fn is_form(content_type: &[u8]) -> bool {
    content_type.get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/"))
}

/// These labels as a `name`, for [`query`].
pub fn escaped_name(labels: &Labels) -> String {
    let name = ingest_name::write(labels);
    // An escaped byte takes three.
    let mut escaped = String::with_capacity(3 * name.len());
    escape(&mut escaped, name.as_bytes());
    escaped
}

/// The query for the backend: the parameters as they came, `name` replaced by this one, which is escaped, sorted by key.
pub fn query(received: &str, name: &str) -> String {
    let mut parameters: Vec<_> = raw_pairs(received)
        .map(|(key, value)| (unescape(key), Some(value)))
        .filter(|(key, _)| key.as_ref() != b"name")
        .collect();
    parameters.push((Cow::Borrowed(b"name"), None));
    // Stable: the values of one key keep their order.
    parameters.sort_by(|a, b| a.0.cmp(&b.0));

    let mut query = String::with_capacity(received.len() + name.len() + 8);
    for (key, value) in &parameters {
        if !query.is_empty() {
            query.push('&');
        }
        escape(&mut query, key);
        query.push('=');
        match value {
            None => query.push_str(name),
            Some(value) if value.bytes().all(is_plain) => query.push_str(value),
            Some(value) => escape(&mut query, &unescape(value)),
        }
    }
    query
}

fn raw_parameter<'a>(query: &'a str, name: &[u8]) -> Option<&'a str> {
    raw_pairs(query).find(|(key, _)| *unescape(key) == *name).map(|(_, value)| value)
}

/// Keys and values, both as they stand in the query.
fn raw_pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn unescape(text: &str) -> Cow<'_, [u8]> {
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text.as_bytes());
    }
    let spaced: Vec<u8> = text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

fn escape(out: &mut String, bytes: &[u8]) {
    for (index, word) in bytes.split(|byte| *byte == b' ').enumerate() {
        if index > 0 {
            out.push('+');
        }
        out.extend(percent_encode(word, ESCAPED));
    }
}

/// Whether a byte stands for itself, escaped or not.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
}
