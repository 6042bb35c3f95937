//! Where an endpoint is.

use std::fmt;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// The URL of an endpoint, in parts.
#[derive(Debug)]
pub(in crate::upstream) struct Base {
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end.
    path: String,
}

/// Why a URL cannot be an endpoint's.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// It cannot be read.
    #[error("{0:?} is no URL: {1}")]
    Invalid(String, http::uri::InvalidUri),
    /// It lacks a part.
    #[error("{0:?} has no {1}; write it as http://host:port or https://host:port/base")]
    Incomplete(String, &'static str),
    /// Another scheme.
    #[error("{0:?} has the scheme {1}; only http and https are possible")]
    Scheme(String, String),
    /// A user in the URL.
    #[error("the URL holds a user name; use `headers` or `basic_auth` instead")]
    UserInfo,
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

impl Base {
    pub(in crate::upstream) fn parse(url: &str) -> Result<Self, UrlError> {
        let uri: Uri = url.parse().map_err(|error| UrlError::Invalid(url.to_owned(), error))?;
        let parts = uri.into_parts();
        let scheme = parts.scheme.ok_or_else(|| UrlError::Incomplete(url.to_owned(), "scheme"))?;
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(UrlError::Scheme(url.to_owned(), scheme.to_string()));
        }
        let authority = parts.authority.ok_or_else(|| UrlError::Incomplete(url.to_owned(), "host"))?;
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let path = parts.path_and_query.as_ref().map_or("", PathAndQuery::path).trim_end_matches('/').to_owned();
        Ok(Self { scheme, authority, path })
    }

    pub(in crate::upstream) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The URL of a path of its server, without the base path.
    pub(in crate::upstream) fn at(&self, path: &str) -> Result<Uri, UrlError> {
        let url = self.without_query(path);
        url.parse().map_err(|error| UrlError::Invalid(url, error))
    }

    /// Its URL without a path.
    pub(super) fn root(&self) -> Option<Uri> {
        Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query("/").build().ok()
    }

    pub(super) fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.scheme == Scheme::HTTPS { 443 } else { 80 })
    }

    pub(super) fn without_query(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.authority)
    }

    /// The URL of a path of an API.
    pub(super) fn beneath(&self, path: &str) -> Result<Uri, http::Error> {
        let path = PathAndQuery::try_from(format!("{}{path}", self.path))?;
        Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query(path).build()
    }

    pub(super) fn uri(&self, path: &'static str, query: Option<&str>) -> Result<Uri, http::Error> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(match (self.path.as_str(), query) {
            ("", None) => PathAndQuery::from_static(path),
            (base, None) => PathAndQuery::try_from(format!("{base}{path}"))?,
            (base, Some(query)) => PathAndQuery::try_from(format!("{base}{path}?{query}"))?,
        });
        Ok(Uri::from_parts(parts)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_stands_before_the_api_s() {
        let uri = |url: &str, query| Base::parse(url).unwrap().uri("/ingest", query).unwrap().to_string();
        assert_eq!(uri("http://host:4040", None), "http://host:4040/ingest");
        assert_eq!(uri("http://host/", Some("a=b")), "http://host/ingest?a=b");
        assert_eq!(uri("https://host/pyroscope/", Some("a=b")), "https://host/pyroscope/ingest?a=b");
    }

    #[test]
    fn a_url_that_is_no_endpoint_is_refused() {
        let error = |url: &str| Base::parse(url).unwrap_err().to_string();
        assert!(error("").contains("is no URL"), "{}", error(""));
        assert!(error("pyroscope:4040").contains("has no scheme"), "{}", error("pyroscope:4040"));
        assert!(error("/path").contains("has no scheme"));
        assert!(error("ftp://host").contains("the scheme ftp"));
        assert!(error("http://user:secret@host").contains("user name"));
        assert!(!error("http://user:secret@host").contains("secret"));
    }
}
