//! The targets that each kind of object stands for, with the labels that Prometheus gives them.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeSet;

use profiler_core::labels::{LabelError, Labels};

use super::cluster::{Id, Kind, Object, Objects};
use super::meta::{NAMESPACE, Pairs};
use super::objects::{Node, Pod, Service};

mod endpoint_slice;
mod endpoints;
mod ingress;
mod node;
mod pod;
mod service;

/// Most bytes of the labels of one object's targets: each of a pod's ports has a copy of its annotations.
const MAX_LABELS: usize = 16 << 20;

/// What is attached to targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Attached {
    /// Labels and annotations of the node.
    pub(super) node: bool,
    /// Labels and annotations of the namespace.
    pub(super) namespace: bool,
}

/// Why an object stands for no targets, although it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum TargetError {
    #[error(transparent)]
    Labels(#[from] LabelError),
    #[error("the labels of its targets take more than {MAX_LABELS} bytes")]
    TooLarge,
}

/// The targets of an object.
pub(super) fn targets(object: &Object, view: &View<'_>) -> Result<Vec<Labels>, TargetError> {
    let mut group = Group::default();
    match object {
        Object::Pod(pod) => pod::targets(pod, view, &mut group)?,
        Object::Service(service) => service::targets(service, view, &mut group)?,
        Object::Endpoints(endpoints) => endpoints::targets(endpoints, view, &mut group)?,
        Object::EndpointSlice(slice) => endpoint_slice::targets(slice, view, &mut group)?,
        Object::Node(node) => node::targets(node, &mut group)?,
        Object::Ingress(ingress) => ingress::targets(ingress, view, &mut group)?,
        Object::Namespace(_) => {}
    }
    Ok(group.targets)
}

/// Targets that are being made.
#[derive(Default)]
struct Group<'o> {
    /// The labels that they have in common.
    common: Pairs<'o>,
    targets: Vec<Labels>,
    bytes: usize,
}

impl<'o> Group<'o> {
    fn push(&mut self, own: &Pairs<'o>) -> Result<(), TargetError> {
        let target = own.in_group(&self.common)?;
        self.bytes += target.byte_len();
        if self.bytes > MAX_LABELS {
            return Err(TargetError::TooLarge);
        }
        self.targets.push(target);
        Ok(())
    }
}

/// The other objects, and which of them were looked at.
pub(super) struct View<'a> {
    objects: &'a Objects,
    attached: Attached,
    seen: RefCell<BTreeSet<Id>>,
}

impl<'a> View<'a> {
    pub(super) fn new(objects: &'a Objects, attached: Attached) -> Self {
        Self { objects, attached, seen: RefCell::default() }
    }

    /// Whatever was looked at: when it changes, the targets are others.
    pub(super) fn into_seen(self) -> BTreeSet<Id> {
        self.seen.into_inner()
    }

    fn look(&self, kind: Kind, namespace: &str, name: &str) -> Option<&'a Object> {
        let id = Id::new(kind, namespace, name);
        let found = self.objects.get(&id);
        self.seen.borrow_mut().insert(id);
        found
    }

    fn pod(&self, namespace: &str, name: &str) -> Option<&'a Pod> {
        match self.look(Kind::Pod, namespace, name)? {
            Object::Pod(pod) => Some(pod),
            _ => None,
        }
    }

    fn service(&self, namespace: &str, name: &str) -> Option<&'a Service> {
        match self.look(Kind::Service, namespace, name)? {
            Object::Service(service) => Some(service),
            _ => None,
        }
    }

    fn node(&self, name: &str) -> Option<&'a Node> {
        match self.look(Kind::Node, "", name)? {
            Object::Node(node) => Some(node),
            _ => None,
        }
    }

    /// Sets the labels of a node, where they are attached and it is there.
    fn set_node(&self, pairs: &mut Pairs<'a>, name: Option<&str>) {
        if self.attached.node
            && let Some(node) = name.and_then(|name| self.node(name))
        {
            pairs.set_object("node", &node.metadata);
        }
    }

    /// Sets the labels of a namespace, where they are attached and it is there.
    fn set_namespace(&self, pairs: &mut Pairs<'a>, name: &str) {
        if self.attached.namespace
            && let Some(Object::Namespace(namespace)) = self.look(Kind::Namespace, "", name)
        {
            pairs.set_labels_and_annotations("namespace", &namespace.metadata);
        }
    }

    /// Sets the labels of a service, where it is there.
    fn set_service(&self, pairs: &mut Pairs<'a>, namespace: &str, name: &str) -> Option<&'a Service> {
        let service = self.service(namespace, name)?;
        pairs.set(NAMESPACE, service.metadata.namespace.as_deref().unwrap_or_default());
        pairs.set_object("service", &service.metadata);
        Some(service)
    }
}

fn boolean<'o>(value: bool) -> Cow<'o, str> {
    Cow::Borrowed(if value { "true" } else { "false" })
}
