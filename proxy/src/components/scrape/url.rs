//! Where a target has its profiles, written as Go writes URLs: the identity of a scrape is made of it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Parameters of a request, by name.
pub(super) type Parameters = BTreeMap<String, Vec<String>>;

/// What Go escapes in a value of a query, but for the blank, which becomes a plus.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// What Go escapes in a path that has to be escaped.
const PATH: &AsciiSet = &QUERY
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

/// The URL of a profile.
pub(super) fn profile_url(scheme: &str, address: &str, path: [&str; 2], parameters: &Parameters) -> String {
    let path = joined(path);
    let query = query(parameters);
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{scheme}://{address}{}{mark}{query}", escaped_path(&path))
}

/// Whether an address names a port, as Go reads it; none where it is no address.
pub(super) fn names_port(address: &str) -> Option<bool> {
    if splits(address) {
        return Some(true);
    }
    splits(&format!("{address}:1")).then_some(false)
}

/// Whether it is a host and a port.
fn splits(address: &str) -> bool {
    let Some((before, port)) = address.rsplit_once(':') else { return false };
    let host = match before.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']'),
        None => Some(before).filter(|host| !host.contains(':')),
    };
    host.is_some_and(|host| !host.contains(['[', ']'])) && !port.contains(['[', ']'])
}

/// Without empty parts, and without dots; a slash at the end stays.
fn joined(parts: [&str; 2]) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for part in parts.iter().flat_map(|part| part.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(kept.pop()),
            part => kept.push(part),
        }
    }
    let [_, last] = parts;
    let end = if last.ends_with('/') && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

/// A path that can stand in a URL as it is does so.
fn escaped_path(path: &str) -> Cow<'_, str> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:@[]/".contains(&byte);
    let mut bytes = path.bytes();
    let is_escaped = std::iter::from_fn(|| {
        Some(match bytes.next()? {
            b'%' => [bytes.next(), bytes.next()].iter().all(|digit| digit.is_some_and(|d| d.is_ascii_hexdigit())),
            byte => is_allowed(byte),
        })
    })
    .all(|fine| fine);
    if is_escaped {
        return path.into();
    }
    let plain = percent_decode_str(path).decode_utf8_lossy();
    utf8_percent_encode(&plain, PATH).to_string().into()
}

fn query(parameters: &Parameters) -> String {
    let escaped = |text: &str| utf8_percent_encode(text, QUERY).to_string().replace("%20", "+");
    let pairs = parameters.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    let pairs: Vec<String> = pairs.map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_written_as_go_writes_them() {
        let url = |prefix, path, parameters: &[(&str, &[&str])]| {
            let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
            let parameters = parameters.iter().map(|(name, of)| ((*name).to_owned(), values(of))).collect();
            profile_url("http", "h:1", [prefix, path], &parameters)
        };
        for (prefix, path, written) in [
            ("", "/debug/pprof/heap", "/debug/pprof/heap"),
            ("v1/", "debug//./heap", "/v1/debug/heap"),
            ("/a/b", "../heap/", "/a/heap/"),
            ("", "", "/"),
            ("", "../..", "/"),
            ("", "/a(b)!", "/a(b)!"),
            ("", "/a b?c=%2F", "/a%20b%3Fc=/"),
            ("", "/a%2Fb", "/a%2Fb"),
            ("", "/ä", "/%C3%A4"),
        ] {
            assert_eq!(url(prefix, path, &[]), format!("http://h:1{written}"), "{prefix} {path}");
        }
        let parameters = [("b", &["x y", "ä&*~"][..]), ("a", &[""]), ("c", &[])];
        assert_eq!(url("", "/p", &parameters), "http://h:1/p?a=&b=x+y&b=%C3%A4%26%2A~");
    }

    #[test]
    fn ports_are_found_as_go_finds_them() {
        for (address, port) in [
            ("h:1", Some(true)),
            ("h:", Some(true)),
            ("h", Some(false)),
            ("[::1]:1", Some(true)),
            ("[::1]", Some(false)),
            ("::1", None),
            ("[::1", None),
            ("h]:1", None),
            ("a:b:1", None),
        ] {
            assert_eq!(names_port(address), port, "{address}");
        }
    }
}
