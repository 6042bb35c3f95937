//! The nodes of a cluster as they are shown.

use std::fmt;

use serde::Serialize;

/// A node, as it is shown, in the shape of the reference's API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Its name, unique in the cluster.
    pub name: String,
    /// Where it gossips.
    pub addr: String,
    /// Whether it is this process.
    pub is_self: bool,
    /// What it does.
    pub state: PeerState,
}

/// What a node does in its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PeerState {
    /// It looks on: it is about to join, or another node has its name.
    Viewer,
    /// It takes its share.
    Participant,
    /// It leaves.
    Terminating,
}

impl PeerState {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Viewer, Self::Participant, Self::Terminating];

    /// As metrics and the API name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Participant => "participant",
            Self::Terminating => "terminating",
        }
    }
}

impl fmt::Display for PeerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
