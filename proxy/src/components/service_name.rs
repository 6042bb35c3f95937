//! The service that a target belongs to.

use std::borrow::Cow;

use profiler_core::labels::{Labels, SERVICE_NAME};

use super::targets::value;

const UNSPECIFIED: &str = "unspecified";

/// What a target says of itself, else what is known from where it was found. What is known of a container of Kubernetes
/// is told from other profilers' by `profiler`: `java/`, or nothing.
pub(super) fn service_name<'a>(target: &'a Labels, profiler: &str) -> Cow<'a, str> {
    let of = |name| value(target, name);
    if let Some(name) = of(SERVICE_NAME).or_else(|| of("__meta_kubernetes_pod_annotation_pyroscope_io_service_name")) {
        return name.into();
    }
    let (namespace, container) = (of("__meta_kubernetes_namespace"), of("__meta_kubernetes_pod_container_name"));
    if let (Some(namespace), Some(container)) = (namespace, container) {
        return format!("{profiler}{namespace}/{container}").into();
    }
    of("__meta_docker_container_name")
        .or_else(|| of("__meta_dockerswarm_container_label_service_name"))
        .or_else(|| of("__meta_dockerswarm_service_name"))
        .unwrap_or(UNSPECIFIED)
        .into()
}
