//! The components there are, one file each.

use crate::config_blocks::{HttpBlock, LiveDebuggingBlock, LoggingBlock, TracingBlock};
use crate::graph::Kind;
use crate::import::{ImportFile, ImportGit, ImportHttp, ImportString};

mod built_in;
mod clustering;
mod discovery;
mod ebpf;
mod edit_body;
mod enrich;
mod filter_debug;
mod java;
mod local_file;
mod otelcol;
mod own_profile;
mod receive_http;
mod recording;
mod relabel;
mod remote_http;
mod rule;
mod scope;
mod scrape;
mod service_name;
mod sift;
#[cfg(test)]
mod sink;
mod size;
mod targets;
mod view;
mod wasm_filter;
mod write;

pub use discovery::{
    DiscoveryDns, DiscoveryDocker, DiscoveryFile, DiscoveryHttp, DiscoveryKubernetes, DiscoveryProcess,
    DiscoveryRelabel,
};
pub use ebpf::Ebpf;
pub use enrich::Enrich;
pub use java::Java;
pub use local_file::LocalFile;
pub use otelcol::{ExporterOtlp, ExporterOtlpHttp};
pub use receive_http::ReceiveHttp;
pub use relabel::Relabel;
pub use remote_http::RemoteHttp;
pub use scrape::Scrape;
pub use view::View;
pub use wasm_filter::WasmFilter;
pub(crate) use write::Resending;
pub use write::Write;

/// Every kind of block that becomes a component.
pub const KINDS: &[Kind] = &[
    Kind::of::<DiscoveryDns>(),
    Kind::of::<DiscoveryDocker>(),
    Kind::of::<DiscoveryFile>(),
    Kind::of::<DiscoveryHttp>(),
    Kind::of::<DiscoveryKubernetes>(),
    Kind::of::<DiscoveryProcess>(),
    Kind::of::<DiscoveryRelabel>(),
    Kind::settings::<HttpBlock>(),
    Kind::import::<ImportFile>(),
    Kind::remote_import::<ImportGit>(),
    Kind::remote_import::<ImportHttp>(),
    Kind::import::<ImportString>(),
    Kind::settings::<LiveDebuggingBlock>(),
    Kind::of::<LocalFile>(),
    Kind::settings::<LoggingBlock>(),
    Kind::settings::<TracingBlock>(),
    Kind::of::<ExporterOtlp>(),
    Kind::of::<ExporterOtlpHttp>(),
    Kind::of::<View>(),
    Kind::of::<Ebpf>(),
    Kind::of::<Enrich>(),
    Kind::of::<Java>(),
    Kind::of::<ReceiveHttp>(),
    Kind::of::<Relabel>(),
    Kind::of::<Scrape>(),
    Kind::of::<Write>(),
    Kind::of::<RemoteHttp>(),
    Kind::of::<WasmFilter>(),
];
