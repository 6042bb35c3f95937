//! The configurations that follow each other, and what each does to a request.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use flamegate_tests::blocks::{self, ReceiveHttp};

/// Of the two that are always there, and of the one that comes and goes.
pub(crate) type Ports = [SocketAddr; 3];

/// What a configuration says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Configuration {
    rule: usize,
    external_labels: usize,
    endpoint: usize,
    conn_limit: usize,
    timeout: usize,
    /// Whether there is a third receiver.
    pub(crate) extra: bool,
    swapped: bool,
}

/// A name, and what is another thing afterwards.
pub(crate) type Change = (&'static str, fn(&mut Configuration));

/// One after the other.
pub(crate) const CHANGES: [Change; 8] = [
    ("a rule", |now| now.rule += 1),
    ("external labels", |now| now.external_labels += 1),
    ("a component added", |now| now.extra = true),
    ("an endpoint", |now| now.endpoint = 1 - now.endpoint),
    ("conn_limit", |now| now.conn_limit = 1 - now.conn_limit),
    ("a component removed", |now| now.extra = false),
    ("two listeners that swap ports", |now| now.swapped = !now.swapped),
    ("a timeout", |now| now.timeout = 1 - now.timeout),
];

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    endpoint: usize,
    edge: String,
    region: String,
    receiver: String,
}

impl Seen {
    pub(crate) fn of(endpoint: usize, labels: &BTreeMap<String, String>) -> Self {
        let [edge, region, receiver] = ["edge", "region", "receiver"].map(|name| labels[name].clone());
        Self { endpoint, edge, region, receiver }
    }
}

impl Configuration {
    pub(crate) fn text(&self, ports: &Ports, urls: &[String; 2]) -> String {
        let left_and_right = if self.swapped { [ports[1], ports[0]] } else { [ports[0], ports[1]] };
        let receivers = ["left", "right"].into_iter().zip(left_and_right);
        let extra = self.extra.then_some(("extra", ports[2]));
        let pipelines: String = receivers.chain(extra).map(|(label, port)| self.pipeline(label, port)).collect();
        let write = blocks::write("default", &urls[self.endpoint..=self.endpoint], "");
        let region = format!("external_labels = {{ region = \"{}\" }}\n", self.region());
        pipelines + &write.replacen("{\n", &format!("{{\n{region}"), 1)
    }

    /// What becomes of a request to this port.
    pub(crate) fn sees(&self, port: usize) -> Seen {
        let receiver = match (port, self.swapped) {
            (0, false) | (1, true) => "left",
            (0, true) | (1, false) => "right",
            _ => "extra",
        };
        Seen { endpoint: self.endpoint, edge: self.edge(), region: self.region(), receiver: receiver.to_owned() }
    }

    fn edge(&self) -> String {
        format!("edge-{}", self.rule)
    }

    fn region(&self) -> String {
        format!("region-{}", self.external_labels)
    }

    /// A receiver and rules of its own that say so.
    fn pipeline(&self, label: &str, port: SocketAddr) -> String {
        let (limit, timeout) = (1000 + self.conn_limit, 60 + self.timeout);
        let http = format!("conn_limit = {limit}\nserver_idle_timeout = \"{timeout}s\"");
        let receive = ReceiveHttp { label, settings: "", http: &http, writes: &[label] }.block();
        let receive = receive.replace("pyroscope.write.", "pyroscope.relabel.");
        let receive = receive.replace("listen_port = 0", &format!("listen_port = {}", port.port()));
        let rule = |target: &str, to: &str| {
            format!("  rule {{\n    target_label = \"{target}\"\n    replacement = \"{to}\"\n  }}\n")
        };
        let rules = rule("edge", &self.edge()) + &rule("receiver", label);
        format!(
            "{receive}pyroscope.relabel \"{label}\" {{\n  forward_to = [pyroscope.write.default.receiver]\n{rules}}}\n"
        )
    }
}
