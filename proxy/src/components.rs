//! The components there are, one file each.

use crate::graph::Kind;

mod receive_http;
mod relabel;
mod write;

pub use receive_http::ReceiveHttp;
pub use relabel::Relabel;
pub use write::Write;

/// Every kind of component, by name.
pub const KINDS: &[Kind] = &[Kind::of::<ReceiveHttp>(), Kind::of::<Relabel>(), Kind::of::<Write>()];
