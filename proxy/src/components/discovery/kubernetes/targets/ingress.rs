//! Ingresses: a target for each path of a rule.

use crate::components::discovery::ADDRESS;
use crate::components::discovery::kubernetes::meta::{NAMESPACE, Pairs};
use crate::components::discovery::kubernetes::objects::Ingress;

use super::{Group, TargetError, View};

const CLASS_NAME: &str = "__meta_kubernetes_ingress_class_name";
const SCHEME: &str = "__meta_kubernetes_ingress_scheme";
const HOST: &str = "__meta_kubernetes_ingress_host";
const PATH: &str = "__meta_kubernetes_ingress_path";

pub(super) fn targets<'o>(ingress: &'o Ingress, view: &View<'o>, group: &mut Group<'o>) -> Result<(), TargetError> {
    let Ingress { metadata, spec } = ingress;
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    group.common.set(NAMESPACE, namespace);
    group.common.set_some(CLASS_NAME, spec.ingress_class_name.as_deref());
    group.common.set_object("ingress", metadata);
    view.set_namespace(&mut group.common, namespace);
    for rule in &spec.rules {
        let mut tls_hosts = spec.tls.iter().flat_map(|tls| &tls.hosts);
        let scheme = if tls_hosts.any(|pattern| matches(pattern, &rule.host)) { "https" } else { "http" };
        let paths: Vec<&str> = match &rule.http {
            None => vec!["/"],
            Some(http) => http.paths.iter().map(|path| path.path.as_str()).collect(),
        };
        for path in paths {
            let mut own = Pairs::default();
            own.set(ADDRESS, rule.host.as_str());
            own.set(SCHEME, scheme);
            own.set(HOST, rule.host.as_str());
            own.set(PATH, if path.is_empty() { "/" } else { path });
            group.push(&own)?;
        }
    }
    Ok(())
}

/// Whether a certificate of this name, whose first part may be a `*`, is one of the host.
fn matches(pattern: &str, host: &str) -> bool {
    let parts = |name| str::split_once(name, '.').map_or((name, None), |(first, domain)| (first, Some(domain)));
    let ((first, domain), (_, other)) = (parts(pattern), parts(host));
    pattern == host || (first == "*" && domain == other)
}
