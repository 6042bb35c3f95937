//! Components of OpenTelemetry's collector, as far as the spans of this process need them: nothing else ever arrives.

mod client;
mod exporter;
mod exporter_otlp;
mod exporter_otlphttp;
mod retry;
mod sending_queue;
mod tls;

pub use exporter_otlp::ExporterOtlp;
pub use exporter_otlphttp::ExporterOtlpHttp;

#[cfg(test)]
mod tests;
