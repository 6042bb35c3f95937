//! Under which names the admin listener answers browsers, and to which pages' requests.
//!
//! A page from elsewhere can have its own name lead here, and would then read what is served as if it were its own (DNS
//! rebinding); and it can have a browser post here. Neither is of use to it if the name and the page's origin are looked at.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// The names under which the UI and the API are served.
#[derive(Debug, Clone)]
pub struct Hosts {
    bound: IpAddr,
    /// Without ports, in lower case.
    allowed: Arc<[String]>,
}

impl Hosts {
    /// The address that is listened on, and those that are allowed besides, with or without a port, which is not looked at.
    #[must_use]
    pub fn new(bound: SocketAddr, allowed: &[String]) -> Self {
        let name =
            |host: &String| host.parse::<Authority>().map_or_else(|_| host.clone(), |host| host.host().to_owned());
        let allowed = allowed.iter().map(|host| name(host).to_ascii_lowercase()).collect();
        Self { bound: bound.ip(), allowed }
    }

    /// Whether a request may have been meant for this process.
    fn admits(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let is_bound = match address {
            Some(address) => {
                self.bound.is_unspecified()
                    || address == self.bound
                    || address.is_loopback() && self.bound.is_loopback()
            }
            None => host == "localhost" && (self.bound.is_loopback() || self.bound.is_unspecified()),
        };
        is_bound || self.allowed.contains(&host)
    }
}

/// Refuses requests under other names.
pub(super) async fn admit(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let host = host_of(&request).map(|host| host.host().to_owned());
    match host {
        Some(host) if hosts.admits(&host) => next.run(request).await,
        host => {
            let host: String = host.unwrap_or_default().chars().take(200).collect();
            let text = format!(
                "the host {host:?} is not one that this listener is bound to; --server.http.allowed-hosts={host} allows it\n"
            );
            (StatusCode::MISDIRECTED_REQUEST, text).into_response()
        }
    }
}

/// Refuses what would change something where a page of another origin asks for it. Programs say no origin.
pub(super) async fn same_origin(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    let Some(origin) = origin_of(request.headers()) else { return next.run(request).await };
    let host = host_of(&request);
    if host.as_ref().is_some_and(|host| origin.as_ref() == Some(host) && hosts.admits(host.host())) {
        return next.run(request).await;
    }
    let text = "a page of another origin may change nothing here; --server.http.allowed-hosts allows further names of this host\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

/// The host that a request is for.
fn host_of(request: &Request) -> Option<Authority> {
    let header = || request.headers().get(header::HOST)?.to_str().ok()?.parse().ok();
    request.uri().authority().cloned().or_else(header)
}

/// The host of the page that asks, where a page does; `None` inside for one that says none.
fn origin_of(headers: &HeaderMap) -> Option<Option<Authority>> {
    let of = |origin: &str| origin.split_once("://")?.1.parse().ok();
    match headers.get(header::ORIGIN) {
        Some(origin) => Some(origin.to_str().ok().and_then(of)),
        // Browsers that send no origin say at least whether it is another one.
        None => headers.get("sec-fetch-site").filter(|site| *site != "same-origin" && *site != "none").map(|_| None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_bound_or_allowed() {
        let hosts = |bound: &str, allowed: &[&str]| {
            let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
            Hosts::new(bound.parse().unwrap(), &allowed)
        };
        let loopback = hosts("127.0.0.1:1", &["Edge.example:8080"]);
        for (host, admitted) in [
            ("localhost", true),
            ("LOCALHOST", true),
            ("127.0.0.1", true),
            ("[::1]", true),
            ("edge.example", true),
            ("evil.example", false),
            ("192.0.2.1", false),
            ("", false),
        ] {
            assert_eq!(loopback.admits(host), admitted, "{host}");
        }
        let one = hosts("192.0.2.1:1", &[]);
        assert!(one.admits("192.0.2.1") && !one.admits("localhost") && !one.admits("127.0.0.1"));
        let all = hosts("[::]:1", &[]);
        assert!(all.admits("192.0.2.7") && all.admits("localhost") && !all.admits("edge"));
    }
}
