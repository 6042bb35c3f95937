//! Endpoints: a target for each port of each address, and for the other ports of the pods behind them.

use std::collections::BTreeMap;

use crate::components::discovery::ADDRESS;
use crate::components::discovery::kubernetes::cluster::{Id, Kind};
use crate::components::discovery::kubernetes::meta::{NAMESPACE, Pairs, host_port};
use crate::components::discovery::kubernetes::objects::{Address, Endpoints, Pod, ServicePort};

use super::{Group, TargetError, View, boolean, pod};

const PORT_NAME: &str = "__meta_kubernetes_endpoint_port_name";
const PORT_PROTOCOL: &str = "__meta_kubernetes_endpoint_port_protocol";
const READY: &str = "__meta_kubernetes_endpoint_ready";
const TARGET_KIND: &str = "__meta_kubernetes_endpoint_address_target_kind";
const TARGET_NAME: &str = "__meta_kubernetes_endpoint_address_target_name";
const NODE_NAME: &str = "__meta_kubernetes_endpoint_node_name";
const HOSTNAME: &str = "__meta_kubernetes_endpoint_hostname";

pub(super) fn targets<'o>(endpoints: &'o Endpoints, view: &View<'o>, group: &mut Group<'o>) -> Result<(), TargetError> {
    let metadata = &endpoints.metadata;
    let name = metadata.name.as_deref().unwrap_or_default();
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    group.common.set(NAMESPACE, namespace);
    view.set_service(&mut group.common, namespace, name);
    group.common.set_object("endpoints", metadata);
    view.set_namespace(&mut group.common, namespace);
    let mut pods = Pods::default();
    for subset in &endpoints.subsets {
        for port in &subset.ports {
            for (addresses, is_ready) in [(&subset.addresses, true), (&subset.not_ready_addresses, false)] {
                for address in addresses {
                    group.push(&target(address, port, is_ready, view, &mut pods))?;
                }
            }
        }
    }
    pods.other_ports(group)
}

fn target<'o>(
    address: &'o Address,
    port: &'o ServicePort,
    is_ready: bool,
    view: &View<'o>,
    pods: &mut Pods<'o>,
) -> Pairs<'o> {
    let mut own = Pairs::default();
    own.set(ADDRESS, host_port(&address.ip, port.port));
    own.set(PORT_NAME, port.name.as_str());
    own.set(PORT_PROTOCOL, port.protocol.as_str());
    own.set(READY, boolean(is_ready));
    let reference = address.target_ref.as_ref();
    own.set_some(TARGET_KIND, reference.map(|reference| reference.kind.as_str()));
    own.set_some(TARGET_NAME, reference.map(|reference| reference.name.as_str()));
    own.set_some(NODE_NAME, address.node_name.as_deref());
    if !address.hostname.is_empty() {
        own.set(HOSTNAME, address.hostname.as_str());
    }
    let as_node = reference.filter(|reference| reference.kind == "Node").map(|reference| reference.name.as_str());
    view.set_node(&mut own, address.node_name.as_deref().or(as_node));
    let behind = reference.filter(|reference| reference.kind == "Pod");
    if let Some(found) = behind.and_then(|reference| view.pod(&reference.namespace, &reference.name)) {
        pod::set_pod(&mut own, found);
        pod::set_container_of(&mut own, found, port.port, Some(&port.protocol));
        pods.saw(found, Some(port.port));
    }
    own
}

/// The pods behind the addresses, and which of their ports are known.
#[derive(Default)]
pub(super) struct Pods<'o>(BTreeMap<Id, (&'o Pod, Vec<i64>)>);

impl<'o> Pods<'o> {
    pub(super) fn saw(&mut self, pod: &'o Pod, port: Option<i64>) {
        let (_, ports) = self.0.entry(Id::of(Kind::Pod, &pod.metadata)).or_insert((pod, Vec::new()));
        ports.extend(port);
    }

    /// Targets for all ports that no endpoint names.
    pub(super) fn other_ports(self, group: &mut Group<'o>) -> Result<(), TargetError> {
        self.0.into_values().try_for_each(|(found, ports)| pod::other_ports(found, &ports, group))
    }
}
