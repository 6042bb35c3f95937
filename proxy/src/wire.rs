//! Bytes ⇄ profiles: each format that is received or sent, both directions in one file; and our own spans.
//!
//! Everything here is a pure function of bytes. Only this module and `profiler_core::pprof` know protobuf.

pub mod connect;
pub mod debug_info;
pub mod ingest;
pub mod ingest_name;
pub mod jfr_labels;
mod known_labels;
pub mod multipart;
pub mod otlp;
pub mod push;
mod service_name;

pub use known_labels::KnownLabels;
