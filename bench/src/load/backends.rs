//! Flamegate that balances over many backends, beside Flamegate that has one address.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::configuration;
use super::program::Program;

/// The plain path, and the same with so many backends.
pub(super) fn programs(binary: PathBuf, count: u8) -> Vec<Program> {
    let name = format!("{count}-backends");
    vec![Program::Flamegate { binary: binary.clone() }, Program::Backends { binary, count, name }]
}

/// The pipeline of the load with an endpoint that is so many backends, each with its health checks: the sink, by
/// different addresses of loopback, so that one process takes the load as on the plain path.
pub(super) fn pipeline(listen: SocketAddr, sink: SocketAddr, count: u8) -> String {
    let target = |place: u8| {
        let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, place), sink.port()));
        format!("{{ __address__ = \"{address}\" }}")
    };
    let targets: Vec<String> = (1..=count).map(target).collect();
    let url = format!("url = \"http://{sink}\"");
    let backends = format!(
        "{url}\n    backends {{\n      targets = [{}]\n      health_check {{\n        type = \"tcp\"\n      }}\n    }}",
        targets.join(", ")
    );
    configuration::pipeline(listen, sink).replace(&url, &backends)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_has_as_many_backends_as_are_asked_for() {
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let text = pipeline(address(1), address(2), 3);
        assert_eq!(text.matches("__address__").count(), 3, "{text}");
        assert!(text.contains("127.0.0.3:2") && text.contains("url = \"http://127.0.0.1:2\""), "{text}");
    }
}
