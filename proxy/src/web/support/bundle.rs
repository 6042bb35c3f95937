//! The archive, under the reference's file names.

use std::fmt::Write as _;
use std::io::{Cursor, Write};
use std::path::Path;

use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

use serde_json::json;

use super::redact;
use crate::cluster::Peer;
use crate::config::Source;
use crate::graph::Graph;
use crate::web::api;

/// The folder inside.
const FOLDER: &str = "flamegate-support-bundle";
/// Most bytes of all files before they are packed; packed, text takes about a tenth of it.
const MOST_BYTES: usize = 64 << 20;

const README: &str = "\
What a running Flamegate tells of itself, for whoever helps with a fault. Look through it before you pass it on.

flamegate-metadata.yaml             version, system, uptime of the host in seconds
flamegate-components.json           every component with arguments, exports, health
flamegate-peers.json                the nodes of the cluster
flamegate-metrics-sample-start.txt  /metrics when the collection began
flamegate-metrics-sample-end.txt    /metrics when it ended
flamegate-runtime-flags.txt         the command line, with defaults
flamegate-environment.txt           variables of the environment that change what Flamegate does
flamegate-logs.txt                  what was logged meanwhile, at most the last MiB
sources/                            the configuration, without its comments

In place of secrets stands (secret): in arguments of a secret type, under names that sound like one, in credentials
of URLs, and in everything that is given to custom components, which may use any of it as a secret.

There is no pprof/: a profiler inside the process would interrupt it at any instruction, also within the allocator and
within compiled filters, and unwinding from there is not safe. Profile it from outside, with perf or pyroscope.ebpf.
";

/// Variables whose values are shown. Those of proxies may hold credentials.
const VARIABLES: [&str; 18] = [
    "ALL_PROXY",
    "HOSTNAME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "MALLOC_CONF",
    "NO_PROXY",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TMPDIR",
    "TOKIO_WORKER_THREADS",
    "TZ",
    "_RJEM_MALLOC_CONF",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub(super) enum BundleError {
    /// Metrics cannot be written.
    #[error("metrics: {0}")]
    Metrics(#[from] std::fmt::Error),
    /// It cannot be packed.
    #[error("packing: {0}")]
    Zip(#[from] ZipError),
    /// Packing broke off.
    #[error("packing broke off: {0}")]
    Aborted(#[from] tokio::task::JoinError),
}

/// An archive in the making.
pub(super) struct Bundle {
    zip: ZipWriter<Cursor<Vec<u8>>>,
    /// Bytes that may still come.
    left: usize,
}

impl Bundle {
    /// What is known when the collection begins.
    pub(super) fn begin(metrics: &str, flags: String, sources: Vec<Source>) -> Result<Self, BundleError> {
        let mut bundle = Self { zip: ZipWriter::new(Cursor::new(Vec::new())), left: MOST_BYTES };
        bundle.add("README.txt", README)?;
        bundle.add("flamegate-metadata.yaml", &metadata())?;
        bundle.add("flamegate-runtime-flags.txt", &(flags + "\n"))?;
        bundle.add("flamegate-environment.txt", &environment(|name| std::env::var(name).ok()))?;
        bundle.add("flamegate-metrics-sample-start.txt", metrics)?;
        for source in sources {
            let name = Path::new(&source.name).file_name().unwrap_or_default().to_string_lossy();
            bundle.add(&format!("sources/{name}"), &redact::source(&source))?;
        }
        Ok(bundle)
    }

    /// The packed archive, with what is known when the collection ends.
    pub(super) fn end(
        mut self,
        metrics: &str,
        graph: &Graph,
        peers: &[Peer],
        logs: &str,
    ) -> Result<Vec<u8>, BundleError> {
        self.add("flamegate-peers.json", &(json!(peers).to_string() + "\n"))?;
        self.add("flamegate-logs.txt", logs)?;
        self.add("flamegate-metrics-sample-end.txt", metrics)?;
        let components = components(graph, self.left);
        self.add("flamegate-components.json", &components)?;
        Ok(self.zip.finish()?.into_inner())
    }

    fn add(&mut self, name: &str, text: &str) -> Result<(), BundleError> {
        let text = redact::without_userinfo(text);
        self.zip.start_file(format!("{FOLDER}/{name}"), SimpleFileOptions::default())?;
        let written = if text.len() <= self.left {
            self.left -= text.len();
            self.zip.write_all(text.as_bytes())
        } else {
            writeln!(self.zip, "left out: {} bytes, and a bundle holds {MOST_BYTES} in all", text.len())
        };
        Ok(written.map_err(ZipError::from)?)
    }
}

fn metadata() -> String {
    use procfs::Current;
    let uptime = procfs::Uptime::current().map_or(0.0, |uptime| uptime.uptime);
    let (version, os, arch) = (env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    format!("build_version: v{version}\nos: {os}\narchitecture: {arch}\nuptime: {uptime}\n")
}

fn environment(value: impl Fn(&str) -> Option<String>) -> String {
    VARIABLES.iter().fold(String::new(), |mut text, name| {
        let value = value(name).unwrap_or_default();
        let value = if name.to_ascii_lowercase().ends_with("_proxy") { without_credentials(&value) } else { &value };
        // Writing to a string cannot fail.
        let _written = writeln!(text, "{name}={value}");
        text
    })
}

/// A proxy may be written without a scheme, and its credentials are then not those of a URL.
fn without_credentials(proxy: &str) -> &str {
    proxy.rsplit_once('@').map_or(proxy, |(_, host)| host)
}

/// Every component of every module, as JSON: those that fit.
fn components(graph: &Graph, most_bytes: usize) -> String {
    let mut text = String::from("[");
    for component in api::everything(graph) {
        let Ok(component) = serde_json::to_value(component) else { continue };
        let component = redact::component(component).to_string();
        if text.len() + component.len() + 4 > most_bytes {
            break;
        }
        text.push_str(if text.len() > 1 { ",\n" } else { "\n" });
        text.push_str(&component);
    }
    text + "\n]\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_shows_what_matters_and_no_credentials() {
        let value = |name: &str| match name {
            "HTTPS_PROXY" => Some("http://user:pass@word@proxy:3128".to_owned()),
            "http_proxy" => Some("user:word@proxy".to_owned()),
            "NO_PROXY" => Some("localhost,.internal".to_owned()),
            "RUST_LOG" => Some("debug".to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some("word".to_owned()),
            _ => None,
        };
        let shown = environment(value);
        for line in
            ["HTTPS_PROXY=proxy:3128\n", "http_proxy=proxy\n", "NO_PROXY=localhost,.internal\n", "RUST_LOG=debug\n"]
        {
            assert!(shown.contains(line), "{line:?} is missing in {shown}");
        }
        assert!(!shown.contains("word") && shown.contains("HOSTNAME=\n"), "{shown}");
    }

    #[test]
    fn what_does_not_fit_is_left_out_with_a_word() {
        let mut bundle = Bundle { zip: ZipWriter::new(Cursor::new(Vec::new())), left: 10 };
        bundle.add("a", "0123456789ab").unwrap();
        bundle.add("b", "0123456789").unwrap();
        let mut zip = bundle.zip.finish_into_readable().unwrap();
        let mut text = |name: &str| std::io::read_to_string(zip.by_name(&format!("{FOLDER}/{name}")).unwrap()).unwrap();
        assert_eq!(text("a"), "left out: 12 bytes, and a bundle holds 67108864 in all\n");
        assert_eq!(text("b"), "0123456789");
    }
}
