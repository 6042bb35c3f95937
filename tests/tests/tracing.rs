//! Spans of the process itself: what they say, whose trace they continue, and that nothing else suffers for them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

#[path = "tracing/delivery.rs"]
mod delivery;
#[path = "tracing/sampling.rs"]
mod sampling;
#[path = "tracing/spans.rs"]
mod spans;

use flamegate_tests::backend::{Backend, Script};
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::otlp::{OtlpReceiver, Span};
use flamegate_tests::polling::{NeverHappened, eventually};
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::{RECEIVE, good_push};
use prost::Message;

/// The exporters' ids.
const HTTP: &str = "otelcol.exporter.otlphttp.default";
const GRPC: &str = "otelcol.exporter.otlp.default";

/// receive_http → relabel → write, with spans of it to a server.
struct Traced {
    flamegate: Flamegate,
    backend: Backend,
    /// The receiver's.
    url: String,
}

impl Traced {
    /// `more` are the blocks behind the pipeline's.
    async fn start(script: Script, more: &str) -> Self {
        let backend = Backend::start_with(script).await.unwrap();
        let flamegate = Flamegate::start(&(pipeline(&backend) + more), &[]).await.unwrap();
        let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
        Self { flamegate, backend, url }
    }

    async fn reload(&self, more: &str) {
        self.flamegate.reload(&(pipeline(&self.backend) + more)).await.unwrap();
    }

    /// Puts lines into the block of `pyroscope.write`.
    async fn change_write(&self, lines: &str, more: &str) {
        let begin = "pyroscope.write \"default\" {\n";
        let pipeline = pipeline(&self.backend).replace(begin, &format!("{begin}{lines}"));
        self.flamegate.reload(&(pipeline + more)).await.unwrap();
    }

    /// Pushes a profile, which must be taken.
    async fn push(&self, headers: &[(&str, &str)]) {
        let reply = PushClient::CONNECT.send(&self.url, &good_push().encode_to_vec(), headers).await.unwrap();
        assert_eq!(reply.error, None);
    }

    async fn metric(&self, name: &str, component: &str) -> f64 {
        let labels = [("component_id", component)];
        let labels = if component.is_empty() { &[][..] } else { &labels[..] };
        self.flamegate.metrics().await.unwrap().sum(name, labels).unwrap_or_default()
    }

    /// Waits until a counter shows at least this.
    async fn wait_metric(&self, name: &str, component: &str, least: f64) -> Result<f64, NeverHappened> {
        let what = format!("{name} of {component:?} at least {least}");
        eventually(&what, async || Some(self.metric(name, component).await).filter(|value| *value >= least)).await
    }
}

fn pipeline(backend: &Backend) -> String {
    let receive = ReceiveHttp { label: "default", writes: &["default"], ..ReceiveHttp::default() }.block();
    let receive = receive.replace("pyroscope.write.default.receiver", "pyroscope.relabel.default.receiver");
    let relabel = "pyroscope.relabel \"default\" {\n  forward_to = [pyroscope.write.default.receiver]\n  rule {\n    \
                   action = \"drop\"\n    source_labels = [\"service_name\"]\n    regex = \"unwanted\"\n  }\n}\n";
    receive + relabel + &blocks::write("default", &[backend.url()], "min_backoff_period = \"1ms\"")
}

/// Spans of all traces over HTTP; `tracing` are further lines of that block, `exporter` of the exporter.
fn over_http(receiver: &OtlpReceiver, tracing: &str, exporter: &str) -> String {
    format!(
        "otelcol.exporter.otlphttp \"default\" {{\n  client {{ endpoint = \"http://{}\" }}\n{exporter}\n}}\ntracing \
         {{\n  write_to = [{HTTP}.input]\n{tracing}\n}}\n",
        receiver.address()
    )
}

/// The same over gRPC.
fn over_grpc(receiver: &OtlpReceiver, tracing: &str, exporter: &str) -> String {
    format!(
        "otelcol.exporter.otlp \"default\" {{\n  client {{\n    endpoint = \"{}\"\n    tls {{ insecure = true }}\n  \
         }}\n{exporter}\n}}\ntracing {{\n  write_to = [{GRPC}.input]\n{tracing}\n}}\n",
        receiver.address()
    )
}

const ALL: &str = "sampling_fraction = 1";

/// The span with which the process took a request; each has one.
fn servers(spans: &[Span]) -> Vec<&Span> {
    spans.iter().filter(|span| span.kind == 2).collect()
}

fn no_violations(receiver: &OtlpReceiver) {
    assert_eq!(receiver.violations(), [""; 0]);
}
