//! The components there are, one file each.

use crate::graph::Kind;
use crate::import::{ImportFile, ImportGit, ImportHttp, ImportString};

mod local_file;
mod receive_http;
mod relabel;
mod write;

pub use local_file::LocalFile;
pub use receive_http::ReceiveHttp;
pub use relabel::Relabel;
pub use write::Write;

/// Every kind of block that becomes a component.
pub const KINDS: &[Kind] = &[
    Kind::import::<ImportFile>(),
    Kind::import::<ImportGit>(),
    Kind::import::<ImportHttp>(),
    Kind::import::<ImportString>(),
    Kind::of::<LocalFile>(),
    Kind::of::<ReceiveHttp>(),
    Kind::of::<Relabel>(),
    Kind::of::<Write>(),
];
