//! Where backends are, as targets say it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::uri::Authority;

/// The address of a target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// As written.
    pub(super) text: Arc<str>,
    pub(super) place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Address(SocketAddr),
    Name { host: Arc<str>, port: u16 },
}

/// Why an address is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Nothing in it.
    #[error("is empty; write host:port")]
    Empty,
    /// A whole URL.
    #[error("{0:?} is a URL; write host:port alone, the endpoint's url has the rest")]
    Url(String),
    /// Anything else.
    #[error("{0:?} is neither host:port nor an IP address with a port")]
    Other(String),
}

impl Target {
    /// Reads an address: `host:port`, `1.2.3.4:port`, `[::1]:port`; without a port that is `default_port`.
    ///
    /// # Errors
    /// Something else.
    pub fn parse(text: &str, default_port: u16) -> Result<Self, TargetError> {
        let address = text.parse().or_else(|_| {
            let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
            bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, default_port))
        });
        let place = match address {
            Ok(address) => Place::Address(address),
            Err(_) => name(text, default_port)?,
        };
        Ok(Self { text: text.into(), place })
    }
}

fn name(text: &str, default_port: u16) -> Result<Place, TargetError> {
    if text.is_empty() {
        return Err(TargetError::Empty);
    }
    if text.contains("://") {
        return Err(TargetError::Url(text.to_owned()));
    }
    let other = || TargetError::Other(text.to_owned());
    let authority: Authority = text.parse().map_err(|_| other())?;
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| other())?),
        None => (text, default_port),
    };
    // A user's name or brackets around something that is no address.
    if host.is_empty() || authority.host() != host || host.starts_with('[') {
        return Err(other());
    }
    Ok(Place::Name { host: host.into(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_with_or_without_ports() {
        let place = |text: &str| match Target::parse(text, 4040).unwrap().place {
            Place::Address(address) => address.to_string(),
            Place::Name { host, port } => format!("{host} {port}"),
        };
        assert_eq!(place("10.0.0.1:80"), "10.0.0.1:80");
        assert_eq!(place("10.0.0.1"), "10.0.0.1:4040");
        assert_eq!(place("[::1]:80"), "[::1]:80");
        assert_eq!(place("[::1]"), "[::1]:4040");
        assert_eq!(place("::1"), "[::1]:4040");
        assert_eq!(place("pyroscope-0.pyroscope:4041"), "pyroscope-0.pyroscope 4041");
        assert_eq!(place("pyroscope"), "pyroscope 4040");
        for text in
            ["", "http://host:80", "host:", "host:x", "host:65536", ":80", "a b", "u@host:80", "[host]:1", "h/p"]
        {
            let error = Target::parse(text, 4040).unwrap_err().to_string();
            assert!(error.contains("write host:port") || error.contains("neither"), "{text}: {error}");
        }
    }
}
