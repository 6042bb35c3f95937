//! Slices of endpoints: a target for each port of each address, and for the other ports of the pods behind them.

use std::borrow::Cow;

use crate::components::discovery::ADDRESS;
use crate::components::discovery::kubernetes::meta::{NAMESPACE, Pairs, host_port};
use crate::components::discovery::kubernetes::objects::{Endpoint, EndpointPort, EndpointSlice, Service};

use super::endpoints::Pods;
use super::{Group, TargetError, View, boolean, pod};

/// The label of a slice that names its service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const ADDRESS_TYPE: &str = "__meta_kubernetes_endpointslice_address_type";
const PORT: &str = "__meta_kubernetes_endpointslice_port";
const PORT_NAME: &str = "__meta_kubernetes_endpointslice_port_name";
const PORT_PROTOCOL: &str = "__meta_kubernetes_endpointslice_port_protocol";
const PORT_APP_PROTOCOL: &str = "__meta_kubernetes_endpointslice_port_app_protocol";
const READY: &str = "__meta_kubernetes_endpointslice_endpoint_conditions_ready";
const SERVING: &str = "__meta_kubernetes_endpointslice_endpoint_conditions_serving";
const TERMINATING: &str = "__meta_kubernetes_endpointslice_endpoint_conditions_terminating";
const HOSTNAME: &str = "__meta_kubernetes_endpointslice_endpoint_hostname";
const NODE_NAME: &str = "__meta_kubernetes_endpointslice_endpoint_node_name";
const ZONE: &str = "__meta_kubernetes_endpointslice_endpoint_zone";
const TOPOLOGY: &str = "__meta_kubernetes_endpointslice_endpoint_topology_";
const TARGET_KIND: &str = "__meta_kubernetes_endpointslice_address_target_kind";
const TARGET_NAME: &str = "__meta_kubernetes_endpointslice_address_target_name";

pub(super) fn targets<'o>(slice: &'o EndpointSlice, view: &View<'o>, group: &mut Group<'o>) -> Result<(), TargetError> {
    let metadata = &slice.metadata;
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    group.common.set(NAMESPACE, namespace);
    group.common.set(ADDRESS_TYPE, slice.address_type.as_str());
    group.common.set_object("endpointslice", metadata);
    let service = metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME));
    let service = service.and_then(|name| view.set_service(&mut group.common, namespace, name));
    view.set_namespace(&mut group.common, namespace);
    if service.is_some_and(|service| is_other_family(service, slice)) {
        return Ok(());
    }
    let mut pods = Pods::default();
    for endpoint in &slice.endpoints {
        for port in &slice.ports {
            for address in &endpoint.addresses {
                group.push(&target(address, endpoint, port, view, &mut pods))?;
            }
        }
    }
    pods.other_ports(group)
}

fn target<'o>(
    address: &'o str,
    endpoint: &'o Endpoint,
    port: &'o EndpointPort,
    view: &View<'o>,
    pods: &mut Pods<'o>,
) -> Pairs<'o> {
    let mut own = Pairs::default();
    let host_and_port = port.port.map(|port| Cow::Owned(host_port(address, port)));
    own.set(ADDRESS, host_and_port.unwrap_or(Cow::Borrowed(address)));
    own.set_some(PORT, port.port.map(|port| port.to_string()));
    own.set_some(PORT_NAME, port.name.as_deref());
    own.set_some(PORT_PROTOCOL, port.protocol.as_deref());
    own.set_some(PORT_APP_PROTOCOL, port.app_protocol.as_deref());
    own.set_some(READY, endpoint.conditions.ready.map(boolean));
    own.set_some(SERVING, endpoint.conditions.serving.map(boolean));
    own.set_some(TERMINATING, endpoint.conditions.terminating.map(boolean));
    own.set_some(HOSTNAME, endpoint.hostname.as_deref());
    own.set_some(NODE_NAME, endpoint.node_name.as_deref());
    own.set_some(ZONE, endpoint.zone.as_deref());
    own.set_present(TOPOLOGY, &endpoint.deprecated_topology);
    let reference = endpoint.target_ref.as_ref();
    own.set_some(TARGET_KIND, reference.map(|reference| reference.kind.as_str()));
    own.set_some(TARGET_NAME, reference.map(|reference| reference.name.as_str()));
    let as_node = reference.filter(|reference| reference.kind == "Node").map(|reference| reference.name.as_str());
    view.set_node(&mut own, as_node.or(endpoint.node_name.as_deref()));
    let behind = reference.filter(|reference| reference.kind == "Pod");
    if let Some(found) = behind.and_then(|reference| view.pod(&reference.namespace, &reference.name)) {
        pod::set_pod(&mut own, found);
        if let Some(port) = port.port {
            pod::set_container_of(&mut own, found, port, None);
        }
        pods.saw(found, port.port);
    }
    own
}

/// Whether a service of both families of addresses prefers the other one: each of its endpoints is then in two slices.
fn is_other_family(service: &Service, slice: &EndpointSlice) -> bool {
    let is_dual = matches!(service.spec.ip_family_policy.as_str(), "PreferDualStack" | "RequireDualStack");
    is_dual && service.spec.ip_families.first().is_some_and(|family| *family != slice.address_type)
}
