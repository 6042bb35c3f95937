//! Where other nodes may be found: addresses and names, which are looked up each time anew.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use hickory_resolver::TokioResolver;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::telemetry::LogLimit;

/// The longest that one name is looked up. The system's resolver has patience for longer.
const LOOKUP: Duration = Duration::from_secs(5);
/// Names that are looked up at once.
const SIDE_BY_SIDE: usize = 16;

/// One of `--cluster.join-addresses`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinAddress {
    written: String,
    host: String,
    /// That of this node, where it is not said.
    port: Option<u16>,
    records: Records,
}

/// What a name is looked up as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Records {
    /// A host, or else a service.
    Any,
    Host,
    Service,
}

/// Why a text is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no address to join at: write HOST, HOST:PORT, dns+NAME, dnssrv+NAME, an IPv6 address with a port as [ADDRESS]:PORT"
)]
pub struct JoinAddressError(String);

impl FromStr for JoinAddress {
    type Err = JoinAddressError;

    fn from_str(text: &str) -> Result<Self, JoinAddressError> {
        let refused = || JoinAddressError(text.to_owned());
        let prefixes = [("dns+", Records::Host), ("dnssrv+", Records::Service), ("dnssrvnoa+", Records::Service)];
        let prefixed = prefixes.iter().find_map(|(prefix, records)| Some((text.strip_prefix(prefix)?, *records)));
        let (place, records) = prefixed.unwrap_or((text, Records::Any));
        let (host, port) = match (place.parse::<IpAddr>(), place.rsplit_once(':')) {
            (Err(_), Some((host, port))) if !place.ends_with(']') => {
                (host, Some(port.parse().ok().filter(|port| *port > 0).ok_or_else(refused)?))
            }
            _ => (place, None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let bracketed = bare.is_some_and(|host| host.parse::<IpAddr>().is_ok());
        let host = if bracketed { bare.unwrap_or(host) } else { host };
        let named = !host.is_empty() && !host.contains(['[', ']', '/', ' ']);
        if !named || (!bracketed && port.is_some() && host.contains(':')) {
            return Err(refused());
        }
        Ok(Self { written: text.to_owned(), host: host.to_owned(), port, records })
    }
}

/// Where all of these lead now. What leads nowhere is told to the log.
pub(super) async fn look_up(addresses: &[JoinAddress], default_port: u16, log: &LogLimit) -> BTreeSet<SocketAddr> {
    let looking = stream::iter(addresses.to_vec()).map(|address| async move {
        let found = timeout(LOOKUP, address.look_up(default_port)).await;
        let why = match found {
            Ok(Ok(found)) if !found.is_empty() => return found,
            Ok(Ok(_)) => "it leads nowhere".to_owned(),
            Ok(Err(error)) => error,
            Err(_) => format!("no answer within {LOOKUP:?}"),
        };
        if let Some(line) = log.admit() {
            let (address, left_out) = (&address.written, line.left_out);
            tracing::warn!(address, err = why, left_out, "an address to join the cluster at cannot be looked up");
        }
        Vec::new()
    });
    looking.buffer_unordered(SIDE_BY_SIDE).concat().await.into_iter().collect()
}

impl JoinAddress {
    async fn look_up(&self, default_port: u16) -> Result<Vec<SocketAddr>, String> {
        let port = self.port.unwrap_or(default_port);
        if self.records == Records::Service {
            return service(&self.host, port).await;
        }
        let found = host(&self.host, port).await;
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            _ if self.records == Records::Host || self.host.parse::<IpAddr>().is_ok() => found,
            other => match service(&self.host, port).await {
                Ok(found) if !found.is_empty() => Ok(found),
                _ => other,
            },
        }
    }
}

async fn host(name: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    lookup_host((name, port)).await.map(Iterator::collect).map_err(|error| error.to_string())
}

/// As the reference does it, the port is not that of the record.
async fn service(name: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let mut found = Vec::new();
    for target in service_hosts(name).await.map_err(|error| error.to_string())? {
        found.extend(host(&target, port).await?);
    }
    Ok(found)
}

async fn service_hosts(name: &str) -> Result<Vec<String>, NetError> {
    let resolver = TokioResolver::builder_tokio()?.build()?;
    let answer = resolver.lookup(name, RecordType::SRV).await?;
    let target = |data: &RData| match data {
        RData::SRV(record) => Some(record.target.to_utf8()),
        _ => None,
    };
    Ok(answer.answers().iter().filter_map(|record| target(&record.data)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_with_or_without_ports() {
        use Records::{Any, Host, Service};
        for (text, host, port, records) in [
            ("node-1", "node-1", None, Any),
            ("node-1.cluster.local:7", "node-1.cluster.local", Some(7), Any),
            ("10.0.0.1", "10.0.0.1", None, Any),
            ("10.0.0.1:65535", "10.0.0.1", Some(65_535), Any),
            ("::1", "::1", None, Any),
            ("[::1]", "::1", None, Any),
            ("[fd00::1]:80", "fd00::1", Some(80), Any),
            ("dns+nodes", "nodes", None, Host),
            ("dnssrv+_http._tcp.nodes", "_http._tcp.nodes", None, Service),
            ("dnssrvnoa+nodes:9", "nodes", Some(9), Service),
        ] {
            let expected = JoinAddress { written: text.to_owned(), host: host.to_owned(), port, records };
            assert_eq!(text.parse(), Ok(expected));
        }
        for wrong in ["", ":1", "a:", "a:0", "a:65536", "a:b", "http://a", "a b", "[a]:1", "[::1", "a:1:2", "dns+"] {
            assert!(wrong.parse::<JoinAddress>().is_err(), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn what_leads_somewhere_is_found_whatever_else_does_not() {
        let addresses: Vec<JoinAddress> =
            ["127.0.0.1:7", "127.0.0.2", "[::1]:9", "no-such-name.invalid", "127.0.0.1:7"]
                .iter()
                .map(|text| text.parse().unwrap())
                .collect();
        let found = look_up(&addresses, 12_345, &LogLimit::default()).await;
        let expected = ["127.0.0.1:7", "127.0.0.2:12345", "[::1]:9"].map(|text| text.parse().unwrap());
        assert_eq!(found, BTreeSet::from(expected));
    }
}
