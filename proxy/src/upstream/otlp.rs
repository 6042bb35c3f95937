//! Sends spans to a server that speaks OTLP, over HTTP or gRPC.
//!
//! A batch waits as its encoded request in a bounded queue. Each attempt has a deadline; what passes is tried again as
//! [`RetrySettings`] say, and not at all any more once the exporter is told to stop.

mod attempt;
mod exporter;
mod request;
mod retry;

pub use exporter::{ExporterSettings, QueueSettings, SpanExporter};
pub use request::{OtlpServer, Protocol};
pub use retry::RetrySettings;
