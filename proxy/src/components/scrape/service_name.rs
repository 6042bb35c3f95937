//! The service that a target belongs to.

use std::borrow::Cow;

use profiler_core::labels::{Labels, SERVICE_NAME};

const UNSPECIFIED: &str = "unspecified";

/// What a target says of itself, else what is known from where it was found.
pub(super) fn service_name(target: &Labels) -> Cow<'_, str> {
    let of = |name| target.value(name).filter(|value| !value.is_empty());
    if let Some(name) = of(SERVICE_NAME).or_else(|| of("__meta_kubernetes_pod_annotation_pyroscope_io_service_name")) {
        return name.into();
    }
    let (namespace, container) = (of("__meta_kubernetes_namespace"), of("__meta_kubernetes_pod_container_name"));
    if let (Some(namespace), Some(container)) = (namespace, container) {
        return format!("{namespace}/{container}").into();
    }
    of("__meta_docker_container_name")
        .or_else(|| of("__meta_dockerswarm_container_label_service_name"))
        .or_else(|| of("__meta_dockerswarm_service_name"))
        .unwrap_or(UNSPECIFIED)
        .into()
}
