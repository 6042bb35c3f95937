//! Where an answer sends its asker.

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};

use super::HttpError;

/// A request of a chain of redirects.
pub(in crate::upstream) struct Next<B> {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: B,
    /// Whether it goes to the server that was asked first, and no other was asked in between.
    at_home: bool,
}

impl<B: Clone + Default> Next<B> {
    pub(in crate::upstream) fn first(request: Request<B>) -> Self {
        let (head, body) = request.into_parts();
        Self { method: head.method, uri: head.uri, headers: head.headers, body, at_home: true }
    }

    pub(in crate::upstream) fn request(&self) -> Request<B> {
        let mut request = Request::new(self.body.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// Whether it may carry what is meant for the server that was asked first.
    pub(in crate::upstream) fn is_at_home(&self) -> bool {
        self.at_home
    }

    /// The request that an answer asks for instead, if it does.
    ///
    /// # Errors
    /// When it leads to nothing that can be asked.
    pub(in crate::upstream) fn after(&self, status: StatusCode, answer: &HeaderMap) -> Result<Option<Self>, HttpError> {
        let same_request = match status.as_u16() {
            301..=303 => matches!(self.method, Method::GET | Method::HEAD),
            307 | 308 => true,
            _ => return Ok(None),
        };
        let Some(location) = answer.get(header::LOCATION) else { return Ok(None) };
        let wrong = || HttpError::Redirect(String::from_utf8_lossy(location.as_bytes()).into_owned());
        let uri = location.to_str().ok().and_then(|location| resolve(&self.uri, location)).ok_or_else(wrong)?;
        let mut headers = self.headers.clone();
        let at_home = self.at_home && origin(&uri) == origin(&self.uri);
        if !at_home {
            for name in [header::AUTHORIZATION, header::COOKIE, header::PROXY_AUTHORIZATION, header::HOST] {
                headers.remove(name);
            }
        }
        let (method, body) = if same_request {
            (self.method.clone(), self.body.clone())
        } else {
            headers.remove(header::CONTENT_TYPE);
            (Method::GET, B::default())
        };
        Ok(Some(Self { method, uri, headers, body, at_home }))
    }
}

fn origin(uri: &Uri) -> (Option<&Scheme>, Option<&str>, Option<u16>) {
    let usual = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    (uri.scheme(), uri.host(), Some(uri.port_u16().unwrap_or(usual)))
}

/// A location as seen from a URL.
fn resolve(from: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next().unwrap_or_default();
    let (scheme, authority) = (from.scheme()?.clone(), from.authority()?.clone());
    if let Some(rest) = location.strip_prefix("//") {
        return checked(format!("{scheme}://{rest}").parse().ok()?);
    }
    if location.split(['/', '?']).next().is_some_and(|start| start.contains(':')) {
        return checked(location.parse().ok()?);
    }
    let path = match location.chars().next() {
        None => from.path_and_query()?.to_string(),
        Some('/') => location.to_owned(),
        Some('?') => format!("{}{location}", from.path()),
        Some(_) => {
            let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{folder}/{location}")
        }
    };
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (without_dots(path), format!("?{query}")),
        None => (without_dots(&path), String::new()),
    };
    build(scheme, authority, &format!("{path}{query}"))
}

fn build(scheme: Scheme, authority: Authority, path: &str) -> Option<Uri> {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = Some(authority);
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

/// Only what this client can ask.
fn checked(uri: Uri) -> Option<Uri> {
    let known = uri.scheme() == Some(&Scheme::HTTP) || uri.scheme() == Some(&Scheme::HTTPS);
    (known && uri.host().is_some_and(|host| !host.is_empty())).then_some(uri)
}

fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            "." if last => kept.push(""),
            "." => {}
            ".." => {
                kept.pop();
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn locations() {
        let from: Uri = "http://host:1/a/b?q=1".parse().unwrap();
        for (location, to) in [
            ("http://other/x", Some("http://other/x")),
            ("https://other", Some("https://other/")),
            ("//other/x", Some("http://other/x")),
            ("/x?y=http://z", Some("http://host:1/x?y=http://z")),
            ("x", Some("http://host:1/a/x")),
            ("../x/./y/..", Some("http://host:1/x/")),
            ("../../../x", Some("http://host:1/x")),
            ("?q=2", Some("http://host:1/a/b?q=2")),
            ("", Some("http://host:1/a/b?q=1")),
            ("x#part", Some("http://host:1/a/x")),
            ("ftp://host/x", None),
            ("javascript:x", None),
            ("http://", None),
            ("/a b", None),
        ] {
            assert_eq!(resolve(&from, location).map(|uri| uri.to_string()).as_deref(), to, "{location}");
        }
    }

    #[test]
    fn secrets_stay_at_home() {
        let mut request = Request::new(Bytes::from_static(b"body"));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = "https://host/a".parse().unwrap();
        request.headers_mut().insert(header::AUTHORIZATION, "x".parse().unwrap());
        let first = Next::first(request);
        let go = |next: &Next<Bytes>, status: u16, to: &str| {
            let answer = HeaderMap::from_iter([(header::LOCATION, to.parse().unwrap())]);
            next.after(StatusCode::from_u16(status).unwrap(), &answer).unwrap()
        };
        let same = go(&first, 307, "https://host:443/b").unwrap();
        assert!(same.at_home && same.method == Method::POST && same.headers.contains_key(header::AUTHORIZATION));
        let seen = go(&first, 303, "/b").unwrap();
        assert!(seen.at_home && seen.method == Method::GET && seen.body.is_empty());
        for elsewhere in ["http://host/b", "https://host:444/b", "https://other/b"] {
            let away = go(&first, 308, elsewhere).unwrap();
            assert!(!away.at_home && !away.headers.contains_key(header::AUTHORIZATION), "{elsewhere}");
            let back = go(&away, 308, "https://host/c").unwrap();
            assert!(!back.at_home, "whoever was asked in between chose where to go");
        }
        assert!(go(&first, 200, "/b").is_none());
        assert!(first.after(StatusCode::FOUND, &HeaderMap::new()).unwrap().is_none());
    }
}
