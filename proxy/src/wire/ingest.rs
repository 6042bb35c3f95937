//! Requests to `/ingest`: the query that carries the series' name and says how the body is to be read.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use profiler_core::labels::Labels;

use super::ingest_name;

/// Path of the API behind a backend's base path.
pub const PATH: &str = "/ingest";

/// What Go's `url.QueryEscape` leaves as it is; a space becomes `+`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The value of the first `name`, decoded; `None` where it is absent or empty.
///
/// Bytes that are not UTF-8 stay bytes: it is for the labels to refuse them.
pub fn name(query: &str) -> Option<Cow<'_, [u8]>> {
    parameter(query, b"name").filter(|value| !value.is_empty())
}

/// The value of the first `format`, decoded.
pub fn format(query: &str) -> Option<Cow<'_, [u8]>> {
    parameter(query, b"format")
}

/// The query for the backend: the parameters as they came, `name` replaced by these labels, sorted by key.
pub fn query(received: &str, labels: &Labels) -> String {
    let name = ingest_name::write(labels);
    let mut parameters: Vec<_> = pairs(received).filter(|(key, _)| key.as_ref() != b"name").collect();
    parameters.push((Cow::Borrowed(b"name"), Cow::Borrowed(name.as_bytes())));
    // Stable: the values of one key keep their order.
    parameters.sort_by(|a, b| a.0.cmp(&b.0));

    let mut query = String::with_capacity(received.len() + name.len() * 2);
    for (key, value) in &parameters {
        if !query.is_empty() {
            query.push('&');
        }
        escape(&mut query, key);
        query.push('=');
        escape(&mut query, value);
    }
    query
}

fn parameter<'a>(query: &'a str, name: &[u8]) -> Option<Cow<'a, [u8]>> {
    pairs(query).find(|(key, _)| key.as_ref() == name).map(|(_, value)| value)
}

fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, [u8]>, Cow<'_, [u8]>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (unescape(key), unescape(value))
    })
}

fn unescape(text: &str) -> Cow<'_, [u8]> {
    if text.contains('+') {
        let spaced: Vec<u8> = text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
        return Cow::Owned(percent_decode(&spaced).collect());
    }
    percent_decode(text.as_bytes()).into()
}

fn escape(out: &mut String, bytes: &[u8]) {
    for (index, word) in bytes.split(|byte| *byte == b' ').enumerate() {
        if index > 0 {
            out.push('+');
        }
        out.extend(percent_encode(word, ESCAPED));
    }
}
