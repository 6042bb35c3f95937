//! The components there are, one file each.

use crate::config_blocks::{HttpBlock, LiveDebuggingBlock, LoggingBlock};
use crate::graph::Kind;
use crate::import::ImportString;

mod receive_http;
mod relabel;
mod write;

pub use receive_http::ReceiveHttp;
pub use relabel::Relabel;
pub use write::Write;

/// Every kind of block that becomes a component.
pub const KINDS: &[Kind] = &[
    Kind::settings::<HttpBlock>(),
    Kind::import::<ImportString>(),
    Kind::settings::<LiveDebuggingBlock>(),
    Kind::settings::<LoggingBlock>(),
    Kind::of::<ReceiveHttp>(),
    Kind::of::<Relabel>(),
    Kind::of::<Write>(),
];
