//! What the arguments ask for, until they change.

use std::sync::Arc;

use tokio_util::task::TaskTracker;

use super::target::Settings;
use crate::filters::Rows;
use crate::pipeline::Fanout;
use crate::upstream::Fetcher;

/// What the arguments ask for.
pub(super) struct Plan {
    pub(super) settings: Arc<Settings>,
    pub(super) targets: Rows,
    /// Whether other nodes of the cluster have a part of the targets.
    pub(super) clustered: bool,
    pub(super) max_inflight_bytes: usize,
    pub(super) max_delta_bytes: usize,
    pub(super) fetcher: Arc<Fetcher>,
    pub(super) forward_to: Fanout,
    /// Profiles on their way to these receivers.
    pub(super) pushes: TaskTracker,
}
