//! Nodes: their kubelets.

use crate::components::discovery::ADDRESS;
use crate::components::discovery::kubernetes::meta::{Pairs, host_port, label_name};
use crate::components::discovery::kubernetes::objects::Node;

use super::{Group, TargetError};

const INSTANCE: &str = "instance";
const PROVIDER_ID: &str = "__meta_kubernetes_node_provider_id";
/// The kinds of addresses, the best first.
const ADDRESSES: [&str; 6] = ["InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname"];

pub(super) fn targets<'o>(node: &'o Node, group: &mut Group<'o>) -> Result<(), TargetError> {
    let Node { metadata, spec, status } = node;
    let first = |kind: &str| status.addresses.iter().find(|address| address.kind == kind);
    let Some(best) = ADDRESSES.into_iter().find_map(first) else { return Ok(()) };
    group.common.set(PROVIDER_ID, spec.provider_id.as_str());
    for condition in &status.conditions {
        let name = label_name(&condition.kind.to_lowercase());
        group.common.set(format!("__meta_kubernetes_node_condition_{name}"), condition.status.to_lowercase());
    }
    group.common.set_object("node", metadata);
    let mut own = Pairs::default();
    own.set(ADDRESS, host_port(&best.address, status.daemon_endpoints.kubelet_endpoint.port));
    own.set(INSTANCE, metadata.name.as_deref().unwrap_or_default());
    // Of each kind the first is the last that is set.
    for address in status.addresses.iter().rev() {
        own.set(format!("__meta_kubernetes_node_address_{}", label_name(&address.kind)), address.address.as_str());
    }
    group.push(&own)
}
