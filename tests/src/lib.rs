//! What the end-to-end tests stand on: a backend as strict as a Pyroscope server, the real server where one
//! is named, the `flamegate` process, the real SDKs, and small valid profiles.

pub mod backend;
pub mod blocks;
mod child_output;
pub mod conformance;
pub mod destination;
pub mod fault_proxy;
pub mod flamegate;
pub mod gzip;
pub mod http_client;
pub mod jfr;
pub mod labels_snapshot;
pub mod network;
pub mod otlp;
pub mod polling;
pub mod pprof;
pub mod push_api;
pub mod push_client;
pub mod pyroscope;
pub mod raw_http;
pub mod reserved_port;
pub mod scrape_target;
pub mod sdk;
pub mod spine;
pub mod terminal;
pub mod told_server;
