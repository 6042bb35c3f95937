//! What the programs under load are told to do.

use std::net::SocketAddr;
use std::path::Path;

/// The pipeline of the load in Alloy's syntax: receive on `listen`, relabel with five rules, write to `sink`.
pub(crate) fn pipeline(listen: SocketAddr, sink: SocketAddr) -> String {
    Pipeline { listen, http: String::new(), sink: format!("http://{sink}"), endpoint: String::new() }.with_rules()
}

/// A pipeline with settings of its own.
pub(crate) struct Pipeline {
    pub(crate) listen: SocketAddr,
    /// Further lines of the receiver's `http` block.
    pub(crate) http: String,
    /// URL of the sink.
    pub(crate) sink: String,
    /// Further lines of the endpoint.
    pub(crate) endpoint: String,
}

impl Pipeline {
    /// Receive, relabel with five rules, write.
    pub(crate) fn with_rules(&self) -> String {
        receive_with("default", self.listen, &self.http, "pyroscope.relabel.default")
            + RULES
            + &write_with(&self.sink, &self.endpoint)
    }
}

const RULES: &str = r#"pyroscope.relabel "default" {
  rule {
    source_labels = ["namespace", "pod"]
    regex         = "(.+);(.+)-[0-9a-z]+-[0-9a-z]+"
    target_label  = "workload"
    replacement   = "$1/$2"
  }
  rule {
    target_label = "cluster"
    replacement  = "eu-west-1-a"
  }
  rule {
    action = "labelmap"
    regex  = "k8s_label_(.+)"
  }
  rule {
    action = "labeldrop"
    regex  = "k8s_label_.+|pod_template_hash"
  }
  rule {
    action        = "keep"
    source_labels = ["namespace"]
    regex         = "shop|billing-.*|dev"
  }
  forward_to = [pyroscope.write.default.receiver]
}

"#;

/// The same with a durable queue before `sink`, large enough for what a sink that is slower leaves.
pub(crate) fn queue(listen: SocketAddr, sink: SocketAddr) -> String {
    pipeline(listen, sink).replacen("endpoint {\n", "endpoint {\n    queue {\n      max_size = \"8GiB\"\n    }\n", 1)
}

/// The same beside a component that keeps profiles for the web UI.
pub(crate) fn viewed(listen: SocketAddr, sink: SocketAddr) -> String {
    let both = "forward_to = [pyroscope.write.default.receiver, profiles.view.default.receiver]";
    pipeline(listen, sink).replacen("forward_to = [pyroscope.write.default.receiver]", both, 1)
        + "profiles.view \"default\" { }\n"
}

/// Sample all processes at this rate, write to `sink`. Symbols are kept in `symbols`.
pub(crate) fn sampling(rate: u32, symbols: &Path, sink: SocketAddr) -> String {
    let ebpf = format!(
        r#"pyroscope.ebpf "default" {{
  targets         = []
  targets_only    = false
  sample_rate     = {rate}
  symb_cache_path = {symbols:?}
  forward_to      = [pyroscope.write.default.receiver]
}}

"#
    );
    ebpf + &write(sink)
}

/// Record these JVMs for so many seconds each time, write to `sink`.
pub(crate) fn recording(pids: impl Iterator<Item = u32>, interval: u64, sink: SocketAddr) -> String {
    let target = |pid| format!("    {{\"__process_pid__\" = \"{pid}\", \"service_name\" = \"jvm-{pid}\"}},\n");
    let targets: String = pids.map(target).collect();
    let java = format!(
        r#"pyroscope.java "default" {{
  targets = [
{targets}  ]
  profiling_config {{
    interval = "{interval}s"
  }}
  forward_to = [pyroscope.write.default.receiver]
}}

"#
    );
    java + &write(sink)
}

/// Scrape these targets each so many seconds, write to `sink`: heap profiles alone, or those of goroutines and of CPU too.
pub(crate) fn scraping(targets: &[SocketAddr], interval: u64, heap_alone: bool, sink: SocketAddr) -> String {
    let others = !heap_alone;
    let targets: String = targets
        .iter()
        .enumerate()
        .map(|(place, address)| {
            format!(
                "    {{\"__address__\" = \"{address}\", \"service_name\" = \"shop-{}\", \"pod\" = \"shop-{place}\"}},\n",
                place / 10
            )
        })
        .collect();
    let scrape = format!(
        r#"pyroscope.scrape "default" {{
  targets = [
{targets}  ]
  scrape_interval          = "{interval}s"
  delta_profiling_duration = "{}s"
  profiling_config {{
    profile.memory      {{ enabled = true }}
    profile.goroutine   {{ enabled = {others} }}
    profile.process_cpu {{ enabled = {others} }}
    profile.block       {{ enabled = false }}
    profile.mutex       {{ enabled = false }}
  }}
  forward_to = [pyroscope.write.default.receiver]
}}

"#,
        interval - 1
    );
    scrape + &write(sink)
}

/// Receive on `listen`, so many filters of this file in a row, write to `sink`.
///
/// The filters leave all as it is: what is measured is that they are there. Each sees the labels as they came, another
/// allocation than the one that it remembers.
pub(crate) fn filters(listen: SocketAddr, sink: SocketAddr, filter: &Path, count: usize) -> String {
    let stages: String = (0..count)
        .map(|place| {
            passing(&format!("f{place}"), filter, "config = \"unchanged\"", &filter_or_write(place + 1, count))
        })
        .collect();
    receive("default", listen, &filter_or_write(0, count)) + &stages + &write(sink)
}

/// Pipelines of their own on these addresses, each with a filter of this file and these attributes, or with none, to one
/// write.
pub(crate) fn side_by_side(pipelines: &[(SocketAddr, Option<&str>)], filter: &Path, sink: SocketAddr) -> String {
    let pipelines = pipelines.iter().enumerate().map(|(place, (listen, attributes))| {
        let (label, write) = (format!("p{place}"), "pyroscope.write.default");
        match attributes {
            None => receive(&label, *listen, write),
            Some(attributes) => {
                receive(&label, *listen, &format!("wasm.filter.{label}")) + &passing(&label, filter, attributes, write)
            }
        }
    });
    pipelines.collect::<String>() + &write(sink)
}

fn filter_or_write(place: usize, count: usize) -> String {
    if place < count { format!("wasm.filter.f{place}") } else { "pyroscope.write.default".to_owned() }
}

fn receive(label: &str, listen: SocketAddr, next: &str) -> String {
    receive_with(label, listen, "", next)
}

/// With these lines in its `http` block.
fn receive_with(label: &str, listen: SocketAddr, http: &str, next: &str) -> String {
    let (address, port) = (listen.ip(), listen.port());
    format!(
        r#"pyroscope.receive_http "{label}" {{
  http {{
    listen_address = "{address}"
    listen_port    = {port}
{http}  }}
  forward_to = [{next}.receiver]
}}

"#
    )
}

/// A filter that passes on what it fails at, with these attributes.
fn passing(label: &str, module: &Path, attributes: &str, next: &str) -> String {
    format!(
        r#"wasm.filter "{label}" {{
  module     = {module:?}
  {attributes}
  on_error   = "pass"
  forward_to = [{next}.receiver]
}}

"#
    )
}

fn write(sink: SocketAddr) -> String {
    write_with(&format!("http://{sink}"), "")
}

/// With these lines in its endpoint.
fn write_with(url: &str, endpoint: &str) -> String {
    format!(
        r#"pyroscope.write "default" {{
  endpoint {{
    url = "{url}"
{endpoint}  }}
}}
"#
    )
}

/// What nginx passes through.
pub(crate) struct NginxServer<'n> {
    pub(crate) listen: SocketAddr,
    /// `ssl`, or nothing.
    pub(crate) listen_as: &'static str,
    /// Further lines of its server.
    pub(crate) server: String,
    pub(crate) sink: SocketAddr,
    /// How the sink is spoken to.
    pub(crate) scheme: &'static str,
    /// Senders at once.
    pub(crate) connections: usize,
    /// For its files.
    pub(crate) folder: &'n Path,
}

/// nginx as a pass-through that never writes a body to disk and never gives up a connection.
pub(crate) fn nginx(server: &NginxServer<'_>) -> String {
    let NginxServer { listen, listen_as, server, sink, scheme, connections, folder } = server;
    // A client and an upstream for each connection, and some for nginx itself.
    let worker_connections = 2 * *connections + 128;
    let folder = folder.display();
    format!(
        r#"daemon off;
worker_processes 2;
pid "{folder}/nginx.pid";
error_log stderr warn;
events {{
  worker_connections {worker_connections};
}}
http {{
  access_log off;
  client_body_temp_path "{folder}/body";
  proxy_temp_path "{folder}/proxy";
  fastcgi_temp_path "{folder}/fastcgi";
  uwsgi_temp_path "{folder}/uwsgi";
  scgi_temp_path "{folder}/scgi";
  client_body_buffer_size 128k;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_header_timeout 600s;
  upstream sink {{
    server {sink};
    keepalive {connections};
    keepalive_requests 1000000000;
  }}
  server {{
    listen {listen} {listen_as};
{server}    location / {{
      proxy_pass {scheme}://sink;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"#
    )
}
