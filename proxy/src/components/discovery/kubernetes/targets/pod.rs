//! Pods: a target for each port of a container, and one for a container without ports.

use crate::components::discovery::ADDRESS;
use crate::components::discovery::kubernetes::meta::{NAMESPACE, Pairs, host_port};
use crate::components::discovery::kubernetes::objects::{Container, ContainerPort, ContainerStatus, Pod};

use super::{Group, TargetError, View, boolean};

const IP: &str = "__meta_kubernetes_pod_ip";
const READY: &str = "__meta_kubernetes_pod_ready";
const PHASE: &str = "__meta_kubernetes_pod_phase";
const NODE_NAME: &str = "__meta_kubernetes_pod_node_name";
const HOST_IP: &str = "__meta_kubernetes_pod_host_ip";
const UID: &str = "__meta_kubernetes_pod_uid";
const CONTROLLER_KIND: &str = "__meta_kubernetes_pod_controller_kind";
const CONTROLLER_NAME: &str = "__meta_kubernetes_pod_controller_name";
const CONTAINER_NAME: &str = "__meta_kubernetes_pod_container_name";
const CONTAINER_ID: &str = "__meta_kubernetes_pod_container_id";
const CONTAINER_IMAGE: &str = "__meta_kubernetes_pod_container_image";
const CONTAINER_INIT: &str = "__meta_kubernetes_pod_container_init";
const PORT_NAME: &str = "__meta_kubernetes_pod_container_port_name";
const PORT_NUMBER: &str = "__meta_kubernetes_pod_container_port_number";
const PORT_PROTOCOL: &str = "__meta_kubernetes_pod_container_port_protocol";

pub(super) fn targets<'o>(pod: &'o Pod, view: &View<'o>, group: &mut Group<'o>) -> Result<(), TargetError> {
    let (ip, node) = (&pod.status.pod_ip, &pod.spec.node_name);
    // One that starts has no address yet.
    if ip.is_empty() {
        return Ok(());
    }
    // A selector of nodes selects pods, too.
    if view.attached.node && view.node(node).is_none() {
        return Ok(());
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    set_pod(&mut group.common, pod);
    group.common.set(NAMESPACE, namespace);
    view.set_node(&mut group.common, Some(node));
    view.set_namespace(&mut group.common, namespace);
    for (container, is_init) in containers(pod) {
        let statuses = if is_init { &pod.status.init_container_statuses } else { &pod.status.container_statuses };
        let mut own = Pairs::default();
        own.set(ADDRESS, ip.as_str());
        own.set(CONTAINER_ID, id(statuses, &container.name));
        own.set(CONTAINER_NAME, container.name.as_str());
        own.set(CONTAINER_IMAGE, container.image.as_str());
        own.set(CONTAINER_INIT, boolean(is_init));
        if container.ports.is_empty() {
            group.push(&own)?;
        }
        for port in &container.ports {
            own.set(ADDRESS, host_port(ip, port.container_port));
            set_port(&mut own, port, &port.protocol);
            group.push(&own)?;
        }
    }
    Ok(())
}

/// Sets what is said of a pod wherever it backs a target.
pub(super) fn set_pod<'o>(pairs: &mut Pairs<'o>, pod: &'o Pod) {
    let Pod { metadata, spec, status } = pod;
    pairs.set(IP, status.pod_ip.as_str());
    pairs.set(PHASE, status.phase.as_str());
    pairs.set(NODE_NAME, spec.node_name.as_str());
    pairs.set(HOST_IP, status.host_ip.as_str());
    pairs.set(UID, metadata.uid.as_deref().unwrap_or_default());
    let ready = status.conditions.iter().find(|condition| condition.kind == "Ready");
    pairs.set(READY, ready.map_or("unknown".to_owned(), |ready| ready.status.to_lowercase()));
    pairs.set_object("pod", metadata);
    let controller = metadata.owner_references.iter().flatten().next();
    if let Some(controller) = controller {
        for (name, value) in [(CONTROLLER_KIND, &controller.kind), (CONTROLLER_NAME, &controller.name)] {
            if !value.is_empty() {
                pairs.set(name, value.as_str());
            }
        }
    }
}

/// Sets which container has the port of an endpoint, if one has. Its protocol may be said otherwise by the endpoint.
pub(super) fn set_container_of<'o>(pairs: &mut Pairs<'o>, pod: &'o Pod, port: i64, protocol: Option<&'o str>) {
    for (container, is_init) in containers(pod) {
        if let Some(found) = container.ports.iter().find(|found| found.container_port == port) {
            set_container(pairs, container, is_init);
            set_port(pairs, found, protocol.unwrap_or(&found.protocol));
        }
    }
}

/// The targets of a pod behind an endpoint for all its ports that the endpoint does not name.
pub(super) fn other_ports<'o>(pod: &'o Pod, seen: &[i64], group: &mut Group<'o>) -> Result<(), TargetError> {
    if pod.status.pod_ip.is_empty() {
        return Ok(());
    }
    for (container, is_init) in containers(pod) {
        for port in container.ports.iter().filter(|port| !seen.contains(&port.container_port)) {
            let mut own = Pairs::default();
            own.set(ADDRESS, host_port(&pod.status.pod_ip, port.container_port));
            set_container(&mut own, container, is_init);
            set_port(&mut own, port, &port.protocol);
            set_pod(&mut own, pod);
            group.push(&own)?;
        }
    }
    Ok(())
}

fn set_container<'o>(pairs: &mut Pairs<'o>, container: &'o Container, is_init: bool) {
    pairs.set(CONTAINER_NAME, container.name.as_str());
    pairs.set(CONTAINER_IMAGE, container.image.as_str());
    pairs.set(CONTAINER_INIT, boolean(is_init));
}

fn set_port<'o>(pairs: &mut Pairs<'o>, port: &'o ContainerPort, protocol: &'o str) {
    pairs.set(PORT_NAME, port.name.as_str());
    pairs.set(PORT_NUMBER, port.container_port.to_string());
    pairs.set(PORT_PROTOCOL, protocol);
}

/// Its containers, and whether each runs before the others.
fn containers(pod: &Pod) -> impl Iterator<Item = (&Container, bool)> {
    let usual = pod.spec.containers.iter().map(|container| (container, false));
    usual.chain(pod.spec.init_containers.iter().map(|container| (container, true)))
}

fn id<'o>(statuses: &'o [ContainerStatus], name: &str) -> &'o str {
    statuses.iter().find(|status| status.name == name).map_or("", |status| &status.container_id)
}
