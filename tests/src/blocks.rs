//! Blocks of configuration that most tests need.

use std::fmt::Write as _;

/// A `pyroscope.receive_http` on a free port of loopback.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReceiveHttp<'b> {
    /// Its label.
    pub label: &'b str,
    /// Further lines of the block.
    pub settings: &'b str,
    /// Further lines of its `http` block.
    pub http: &'b str,
    /// Labels of the `pyroscope.write` that it forwards to.
    pub writes: &'b [&'b str],
}

impl ReceiveHttp<'_> {
    /// The block.
    #[must_use]
    pub fn block(&self) -> String {
        let Self { label, settings, http, writes } = self;
        let receivers: Vec<String> = writes.iter().map(|label| format!("pyroscope.write.{label}.receiver")).collect();
        let receivers = receivers.join(", ");
        format!(
            "pyroscope.receive_http \"{label}\" {{\n  http {{\n    listen_address = \"127.0.0.1\"\n    \
             listen_port = 0\n{http}\n  }}\n{settings}\n  forward_to = [{receivers}]\n}}\n"
        )
    }
}

/// A `pyroscope.write` with an endpoint for each URL; `endpoint` are further lines of each.
#[must_use]
pub fn write(label: &str, urls: &[String], endpoint: &str) -> String {
    let mut block = format!("pyroscope.write \"{label}\" {{\n");
    for url in urls {
        // Writing to a String does not fail.
        let _ = write!(block, "  endpoint {{\n    url = \"{url}\"\n{endpoint}\n  }}\n");
    }
    block.push_str("}\n");
    block
}
