//! What is known of the cluster: the objects that have a say in targets, and the targets that were made of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use profiler_core::labels::Labels;

use super::meta::NAMESPACE;
use super::objects::{EndpointSlice, Endpoints, Ingress, Namespace, Node, Pod, Service};
use super::targets::{Attached, View, targets};

/// Most objects of which is told that they have no targets.
const MOST_BAD: usize = 10;
/// Most bytes of the labels of all targets.
const MAX_LABELS: usize = 1 << 30;

/// The kinds of objects that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    Pod,
    Service,
    Endpoints,
    EndpointSlice,
    Node,
    Namespace,
    Ingress,
}

impl Kind {
    /// How the API calls them.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Pod => "pods",
            Self::Service => "services",
            Self::Endpoints => "endpoints",
            Self::EndpointSlice => "endpointslices",
            Self::Node => "nodes",
            Self::Namespace => "namespaces",
            Self::Ingress => "ingresses",
        }
    }
}

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id {
    kind: Kind,
    /// Empty for those that are in none.
    namespace: Box<str>,
    name: Box<str>,
}

impl Id {
    pub(super) fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }

    pub(super) fn of(kind: Kind, meta: &ObjectMeta) -> Self {
        Self::new(kind, meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
    }
}

/// An object.
#[derive(Debug)]
pub(super) enum Object {
    Pod(Pod),
    Service(Service),
    Endpoints(Endpoints),
    EndpointSlice(EndpointSlice),
    Node(Node),
    Namespace(Namespace),
    Ingress(Ingress),
}

impl Object {
    fn id(&self) -> Id {
        match self {
            Self::Pod(pod) => Id::of(Kind::Pod, &pod.metadata),
            Self::Service(service) => Id::of(Kind::Service, &service.metadata),
            Self::Endpoints(endpoints) => Id::of(Kind::Endpoints, &endpoints.metadata),
            Self::EndpointSlice(slice) => Id::of(Kind::EndpointSlice, &slice.metadata),
            Self::Node(node) => Id::of(Kind::Node, &node.metadata),
            Self::Namespace(namespace) => Id::of(Kind::Namespace, &namespace.metadata),
            Self::Ingress(ingress) => Id::of(Kind::Ingress, &ingress.metadata),
        }
    }
}

/// Objects that are kept.
pub(super) type Objects = BTreeMap<Id, Object>;

/// Which objects are asked for: those of a kind, in one namespace or in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) kind: Kind,
    pub(super) namespace: Option<String>,
}

impl Part {
    fn holds(&self, id: &Id) -> bool {
        id.kind == self.kind && self.concerns(&id.namespace)
    }

    fn concerns(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|only| only == namespace)
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.kind.plural())?;
        self.namespace.as_deref().map_or(Ok(()), |namespace| write!(f, " of namespace {namespace:?}"))
    }
}

/// What is heard of a part.
#[derive(Debug)]
pub(super) enum News {
    /// All objects follow.
    ListBegins,
    /// An object is there or is another than before.
    Is(Object),
    /// An object is gone.
    Gone(Object),
    /// Those that did not follow are gone.
    ListEnds,
    /// Nothing is heard for a while.
    Failed(String),
    /// What has failed works.
    Works,
}

/// What is known.
pub(super) struct Cluster {
    /// The kind that becomes targets.
    role: Kind,
    attached: Attached,
    parts: Vec<Known>,
    /// Those that may be looked at when targets are made.
    objects: Objects,
    groups: BTreeMap<Id, Group>,
    /// Whose targets depend on an object.
    dependents: HashMap<Id, BTreeSet<Id>>,
    /// Whose targets are to be made.
    stale: BTreeSet<Id>,
    bytes: usize,
    /// Most objects that are taken.
    most: usize,
    has_news: bool,
}

struct Known {
    part: Part,
    /// While all objects are listed: those that have come.
    listing: Option<HashSet<Id>>,
    is_complete: bool,
    /// Some were left out.
    is_too_much: bool,
    problem: Option<String>,
}

#[derive(Default)]
struct Group {
    targets: Vec<Labels>,
    bytes: usize,
    depends_on: BTreeSet<Id>,
    problem: Option<String>,
}

impl Cluster {
    /// Nothing is known of the parts yet. The last is of the kind that becomes targets, others have a say in them.
    pub(super) fn new(role: Kind, attached: Attached, parts: &[Part], most: usize) -> Self {
        let unknown = |part: &Part| Known {
            part: part.clone(),
            listing: None,
            is_complete: false,
            is_too_much: false,
            problem: None,
        };
        Self {
            role,
            attached,
            parts: parts.iter().map(unknown).collect(),
            objects: Objects::new(),
            groups: BTreeMap::new(),
            dependents: HashMap::new(),
            stale: BTreeSet::new(),
            bytes: 0,
            most,
            has_news: false,
        }
    }

    /// Hears of one of the parts.
    pub(super) fn hear(&mut self, part: usize, news: News) {
        let Some(known) = self.parts.get_mut(part) else { return };
        match news {
            News::ListBegins => {
                known.listing = Some(HashSet::new());
                known.is_too_much = false;
            }
            News::Is(object) => {
                let id = object.id();
                let is_new = !self.groups.contains_key(&id) && !self.objects.contains_key(&id);
                if is_new && self.groups.len() + self.objects.len() >= self.most {
                    self.has_news |= !std::mem::replace(&mut known.is_too_much, true);
                } else {
                    if let Some(listing) = &mut known.listing {
                        listing.insert(id.clone());
                    }
                    self.take(id, object);
                }
            }
            News::Gone(object) => self.forget(&object.id()),
            News::ListEnds => {
                let listed = known.listing.take().unwrap_or_default();
                let before = self.groups.keys().chain(self.objects.keys());
                let gone = before.filter(|id| known.part.holds(id) && !listed.contains(*id)).cloned();
                let gone: Vec<Id> = gone.collect();
                known.is_complete = true;
                known.problem = None;
                self.has_news = true;
                gone.iter().for_each(|id| self.forget(id));
            }
            News::Failed(why) => {
                let problem = Some(format!("{}: {why}", known.part));
                self.has_news |= known.problem != problem;
                known.problem = problem;
            }
            // Until the list is there, it is not what has failed that works.
            News::Works => {
                if known.is_complete {
                    self.has_news |= known.problem.take().is_some();
                }
            }
        }
    }

    /// Whether there is something to tell: of each part something was heard, and not all of it was told.
    pub(super) fn has_news(&self) -> bool {
        let is_heard_of = |known: &Known| known.is_complete || known.problem.is_some();
        (self.has_news || !self.stale.is_empty()) && self.parts.iter().all(is_heard_of)
    }

    /// Tells all targets and what is wrong. In namespaces that are not known yet there are the targets of `before`.
    pub(super) fn tell(&mut self, before: &mut Vec<Labels>) -> (Vec<Labels>, Vec<String>) {
        while let Some(id) = self.stale.pop_first() {
            if let Some(object) = self.objects.get(&id) {
                let group = make(object, &self.objects, self.attached);
                self.replace(id, group);
            }
        }
        self.has_news = false;
        before.retain(|target| !self.is_known(target.value(NAMESPACE).unwrap_or_default()));
        let known = self.groups.iter().filter(|(id, _)| self.is_known(&id.namespace));
        let made = known.flat_map(|(_, group)| &group.targets);
        let targets = made.chain(&*before).cloned().collect();
        (targets, self.problems())
    }

    fn problems(&self) -> Vec<String> {
        let failed = self.parts.iter().filter_map(|known| known.problem.clone());
        let too_much = self.parts.iter().filter(|known| known.is_too_much).map(|known| {
            let what = "some are left out; narrow them down by namespaces or selectors";
            format!("{}: more than {} objects: {what}", known.part, self.most)
        });
        let bad = self.groups.iter().filter_map(|(id, group)| {
            let why = group.problem.as_ref()?;
            Some(format!("{} {:?} of namespace {:?} has no targets: {why}", id.kind.plural(), id.name, id.namespace))
        });
        failed.chain(too_much).chain(bad.take(MOST_BAD)).collect()
    }

    /// Whether all that has a say in the targets of a namespace is there.
    fn is_known(&self, namespace: &str) -> bool {
        self.parts.iter().all(|known| known.is_complete || !known.part.concerns(namespace))
    }

    fn take(&mut self, id: Id, object: Object) {
        self.stale.extend(self.dependents.get(&id).into_iter().flatten().cloned());
        if id.kind != self.role {
            self.objects.insert(id, object);
        } else if self.parts.iter().all(|known| known.part.kind == self.role) {
            // No other object can change the targets later: they are all that has to be kept.
            let group = make(&object, &self.objects, self.attached);
            self.replace(id, group);
        } else {
            self.groups.entry(id.clone()).or_default();
            self.stale.insert(id.clone());
            self.objects.insert(id, object);
        }
    }

    fn forget(&mut self, id: &Id) {
        self.stale.extend(self.dependents.get(id).into_iter().flatten().cloned());
        self.objects.remove(id);
        self.stale.remove(id);
        self.drop_group(id);
    }

    fn replace(&mut self, id: Id, mut group: Group) {
        self.drop_group(&id);
        if self.bytes + group.bytes > MAX_LABELS {
            group.problem = Some(format!("the labels of all targets would take more than {MAX_LABELS} bytes"));
            (group.targets, group.bytes) = Default::default();
        }
        self.bytes += group.bytes;
        for other in &group.depends_on {
            self.dependents.entry(other.clone()).or_default().insert(id.clone());
        }
        self.groups.insert(id, group);
        self.has_news = true;
    }

    fn drop_group(&mut self, id: &Id) {
        let Some(group) = self.groups.remove(id) else { return };
        self.bytes -= group.bytes;
        for other in &group.depends_on {
            if let Some(dependents) = self.dependents.get_mut(other) {
                dependents.remove(id);
                if dependents.is_empty() {
                    self.dependents.remove(other);
                }
            }
        }
        self.has_news = true;
    }
}

fn make(object: &Object, objects: &Objects, attached: Attached) -> Group {
    let view = View::new(objects, attached);
    let made = targets(object, &view);
    let problem = made.as_ref().err().map(ToString::to_string);
    let targets = made.unwrap_or_default();
    let bytes = targets.iter().map(Labels::byte_len).sum();
    Group { targets, bytes, depends_on: view.into_seen(), problem }
}
