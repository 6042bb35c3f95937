//! Services: a target for each port.

use crate::components::discovery::ADDRESS;
use crate::components::discovery::kubernetes::meta::{NAMESPACE, Pairs, host_port};
use crate::components::discovery::kubernetes::objects::Service;

use super::{Group, TargetError, View};

const TYPE: &str = "__meta_kubernetes_service_type";
const CLUSTER_IP: &str = "__meta_kubernetes_service_cluster_ip";
const LOAD_BALANCER_IP: &str = "__meta_kubernetes_service_loadbalancer_ip";
const EXTERNAL_NAME: &str = "__meta_kubernetes_service_external_name";
const PORT_NAME: &str = "__meta_kubernetes_service_port_name";
const PORT_NUMBER: &str = "__meta_kubernetes_service_port_number";
const PORT_PROTOCOL: &str = "__meta_kubernetes_service_port_protocol";

pub(super) fn targets<'o>(service: &'o Service, view: &View<'o>, group: &mut Group<'o>) -> Result<(), TargetError> {
    let Service { metadata, spec } = service;
    let name = metadata.name.as_deref().unwrap_or_default();
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    group.common.set(NAMESPACE, namespace);
    group.common.set_object("service", metadata);
    view.set_namespace(&mut group.common, namespace);
    for port in &spec.ports {
        let mut own = Pairs::default();
        own.set(ADDRESS, host_port(&format!("{name}.{namespace}.svc"), port.port));
        own.set(PORT_NAME, port.name.as_str());
        own.set(PORT_NUMBER, port.port.to_string());
        own.set(PORT_PROTOCOL, port.protocol.as_str());
        own.set(TYPE, spec.kind.as_str());
        if spec.kind == "ExternalName" {
            own.set(EXTERNAL_NAME, spec.external_name.as_str());
        } else {
            own.set(CLUSTER_IP, spec.cluster_ip.as_str());
        }
        if spec.kind == "LoadBalancer" {
            own.set(LOAD_BALANCER_IP, spec.load_balancer_ip.as_str());
        }
        group.push(&own)?;
    }
    Ok(())
}
