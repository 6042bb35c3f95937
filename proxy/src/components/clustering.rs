//! The `clustering` block of components whose work the nodes of a cluster divide.

use alloy_syntax::Arguments;

/// What may stand in the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arguments)]
pub(crate) struct ClusteringArguments {
    /// Whether each node does a part of the work alone. A process that is in no cluster does all of it.
    #[alloy(attr)]
    pub(super) enabled: bool,
}
