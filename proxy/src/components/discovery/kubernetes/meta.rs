//! The labels that targets get of objects.

use std::borrow::Cow;
use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use profiler_core::labels::{LabelError, Labels};

/// The label that says in which namespace a target is.
pub(super) const NAMESPACE: &str = "__meta_kubernetes_namespace";

const PRESENT: &str = "true";

/// Labels that are being collected: what is set later counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairs<'o>(BTreeMap<Cow<'static, str>, Cow<'o, str>>);

impl<'o> Pairs<'o> {
    pub(super) fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Cow<'o, str>>) {
        self.0.insert(name.into(), value.into());
    }

    /// Where there is a value.
    pub(super) fn set_some(&mut self, name: &'static str, value: Option<impl Into<Cow<'o, str>>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// Name, labels and annotations of an object; `role` stands in the names of the labels.
    pub(super) fn set_object(&mut self, role: &str, meta: &'o ObjectMeta) {
        self.set(format!("__meta_kubernetes_{role}_name"), meta.name.as_deref().unwrap_or_default());
        self.set_labels_and_annotations(role, meta);
    }

    /// Labels and annotations of an object alone.
    pub(super) fn set_labels_and_annotations(&mut self, role: &str, meta: &'o ObjectMeta) {
        for (kind, entries) in [("label", &meta.labels), ("annotation", &meta.annotations)] {
            for (name, value) in entries.iter().flatten() {
                let name = label_name(name);
                self.set(format!("__meta_kubernetes_{role}_{kind}_{name}"), value.as_str());
                self.set(format!("__meta_kubernetes_{role}_{kind}present_{name}"), PRESENT);
            }
        }
    }

    /// A map whose names become parts of labels' names.
    pub(super) fn set_present(&mut self, prefix: &str, entries: &'o BTreeMap<String, String>) {
        for (name, value) in entries {
            let name = label_name(name);
            self.set(format!("{prefix}{name}"), value.as_str());
            self.set(format!("{prefix}present_{name}"), PRESENT);
        }
    }

    /// A target with these labels and those of its group, which count where it has none of its own.
    pub(super) fn in_group(&self, group: &Self) -> Result<Labels, LabelError> {
        let pairs: BTreeMap<&str, &str> =
            group.0.iter().chain(&self.0).map(|(name, value)| (&**name, &**value)).collect();
        Labels::from_pairs(pairs)
    }
}

/// What a label's name may hold of this: anything but ASCII letters, digits and underscores becomes an underscore.
pub(super) fn label_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// An address with its port.
pub(super) fn host_port(host: &str, port: i64) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
