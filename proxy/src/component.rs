//! What a component is. This page is all that its author must read.
//!
//! A component is a struct made of decoded [`Arguments`]. Loading a configuration has two phases: first everything is
//! built ([`Component::build`]), with no effect that anyone can observe; then, if all went well, everything takes its
//! place ([`Component::activate`]), sinks before sources. What is still wanted is not built again, and what is built
//! again may take over what its predecessor holds: an address, a compiled filter, a pool of connections.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use alloy_syntax::schema::Export;
use alloy_syntax::{Arguments, CapsuleValue, DecodeError, DecodeValue, Invalid, Value, decode_capsule};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::cluster::Cluster;
use crate::filters::FilterHost;
use crate::ingest::LocalAddress;
use crate::kept::Store;
use crate::pipeline::{Flow, Receiver};
use crate::tap::{Point, Taps};
use crate::telemetry::logs::Logs;
use crate::telemetry::metrics::{ComponentLabels, Metrics};
use crate::telemetry::traces::Tracer;
use crate::web::CurrentSettings;

mod changes;
mod consumer;
mod health;
mod listeners;
mod live_debugging;
mod queues;

pub use changes::{Changed, Changes};
pub use consumer::CONSUMER_EXPORT;
pub use health::{Health, HealthState, Trouble};
pub use listeners::{ClaimError, Listeners};
pub use live_debugging::LiveDebugging;
pub(crate) use queues::FOLDER as QUEUES_FOLDER;
pub use queues::WriteQueues;

/// The type of an export to which profiles can be sent.
pub const RECEIVER: &str = "receiver";

/// The export of everything that takes profiles.
pub const RECEIVER_EXPORT: Export =
    Export { name: "receiver", type_name: RECEIVER, doc: "Takes profiles: for forward_to of other components." };

/// A component that is configured and runs.
pub trait Component: Sized + Send + Sync + 'static {
    /// The block's name, for example `pyroscope.relabel`.
    const NAME: &'static str;

    /// What it is for, in one line.
    const SUMMARY: &'static str;

    /// What it exports.
    const EXPORTS: &'static [Export] = &[];

    /// What may stand in the block. Equal arguments mean that nothing has to be built again.
    type Arguments: Arguments + PartialEq + Send + Sync + 'static;

    /// Builds a component without any effect that can be observed: it may bind, open, compile and try, but not accept,
    /// send or count. `previous` is the one of the same id that runs now.
    fn build(arguments: &Self::Arguments, context: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid>;

    /// What other components may refer to: an object. When it is another one by now, the component says so with
    /// [`Context::changed`], and what refers to it is evaluated again.
    fn exports(&self) -> Value {
        Value::object::<&str>([])
    }

    /// How it is, where there is more to say than that it runs.
    fn health(&self) -> Option<Health> {
        None
    }

    /// What it shows of itself to whoever looks for a fault: an object.
    fn debug_info(&self) -> Option<Value> {
        None
    }

    /// What it has sent on, where it sends.
    fn flow(&self) -> Option<Flow> {
        None
    }

    /// The profiles that it keeps for people to look at, where it keeps some.
    fn kept(&self) -> Option<Arc<Store>> {
        None
    }

    /// What goes wrong in it now, though it does what it can and is healthy: a backend that is away.
    fn trouble(&self) -> Option<Trouble> {
        None
    }

    /// The address that it alone may listen on, where it listens.
    fn address(&self) -> Option<LocalAddress> {
        None
    }

    /// The queues that it alone may have, by the names of their folders, where it has any.
    fn queues(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// Takes its place: the whole configuration was built. Must not fail; runs on the runtime.
    fn activate(&self) {}

    /// Takes back what it has set for the whole process: it was removed, and none of its id takes its place. Must not fail;
    /// runs on the runtime, before a load is said to be done.
    fn withdraw(&self) {}

    /// Ends: the component was replaced by another or removed, or the process ends. What was begun is finished.
    fn stop(&self) -> BoxFuture<'_, ()> {
        futures_util::future::ready(()).boxed()
    }

    /// Removes its series: no component of this id runs any more.
    fn forget(&self) {}
}

/// What a component is built with.
pub struct Context<'a> {
    /// Whose it is.
    pub component: ComponentLabels,
    /// What all components share.
    pub services: &'a Services,
}

impl Context<'_> {
    /// The handle with which the component tells that its exports have changed.
    pub fn changed(&self) -> Changed {
        self.services.changes.of(&self.component)
    }

    /// Where its profiles are looked at.
    pub fn point(&self) -> Point {
        self.services.taps.point(&self.component)
    }

    /// The folder in which the component may keep files; nothing else does. It need not exist yet.
    pub fn folder(&self) -> PathBuf {
        let inside = self.component.component_path.trim_matches('/');
        self.services.storage_path.join(inside).join(&*self.component.component_id)
    }
}

/// What all components of a process share. Clones share it too.
#[derive(Clone)]
pub struct Services {
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// What runs filters.
    pub filters: FilterHost,
    /// Addresses that are listened on.
    pub listeners: Arc<Listeners>,
    /// Where components may keep files.
    pub storage_path: PathBuf,
    /// Queues before endpoints.
    pub queues: Arc<WriteQueues>,
    /// Exports that change while components run.
    pub changes: Arc<Changes>,
    /// Whether what passes may be looked at.
    pub live_debugging: Arc<LiveDebugging>,
    /// Who looks at what passes.
    pub taps: Arc<Taps>,
    /// Where traces of what is done begin.
    pub tracer: Arc<Tracer>,
    /// What belongs to this process and what to others.
    pub cluster: Arc<Cluster>,
    /// How the admin listener speaks and to whom it answers.
    pub admin: Arc<CurrentSettings>,
    /// The process' log; none where that is not ours to change.
    pub logs: Option<Logs>,
}

impl Services {
    /// The services of a process that keeps its files there.
    pub fn new(storage_path: PathBuf, filters: FilterHost) -> Self {
        Self {
            metrics: Metrics::new(),
            filters,
            listeners: Arc::default(),
            queues: Arc::new(WriteQueues::new(&storage_path)),
            storage_path,
            changes: Arc::default(),
            live_debugging: Arc::default(),
            taps: Arc::default(),
            tracer: Arc::default(),
            cluster: Arc::default(),
            admin: Arc::default(),
            logs: None,
        }
    }

    /// The same for components whose metrics nobody is to see.
    pub fn with_hidden_metrics(&self) -> Self {
        Self { metrics: Metrics::new(), ..self.clone() }
    }
}

/// A component whose type is forgotten, for the graph.
pub(crate) trait AnyComponent: Any + Send + Sync {
    fn exports(&self) -> Value;
    fn health(&self) -> Option<Health>;
    fn debug_info(&self) -> Option<Value>;
    fn flow(&self) -> Option<Flow>;
    fn kept(&self) -> Option<Arc<Store>>;
    fn trouble(&self) -> Option<Trouble>;
    fn address(&self) -> Option<LocalAddress>;
    fn queues(&self) -> Vec<Arc<str>>;
    fn activate(&self);
    fn withdraw(&self);
    fn stop(&self) -> BoxFuture<'_, ()>;
    fn forget(&self);
}

impl<C: Component> AnyComponent for C {
    fn exports(&self) -> Value {
        Component::exports(self)
    }

    fn health(&self) -> Option<Health> {
        Component::health(self)
    }

    fn debug_info(&self) -> Option<Value> {
        Component::debug_info(self)
    }

    fn flow(&self) -> Option<Flow> {
        Component::flow(self)
    }

    fn kept(&self) -> Option<Arc<Store>> {
        Component::kept(self)
    }

    fn trouble(&self) -> Option<Trouble> {
        Component::trouble(self)
    }

    fn address(&self) -> Option<LocalAddress> {
        Component::address(self)
    }

    fn queues(&self) -> Vec<Arc<str>> {
        Component::queues(self)
    }

    fn activate(&self) {
        Component::activate(self);
    }

    fn withdraw(&self) {
        Component::withdraw(self);
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Component::stop(self)
    }

    fn forget(&self) {
        Component::forget(self);
    }
}

impl CapsuleValue for Receiver {
    fn type_name(&self) -> &str {
        "pyroscope.Appendable"
    }

    fn equals(&self, other: &dyn CapsuleValue) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref::<Self>().is_some_and(|other| self == other)
    }

    fn display(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }
}

impl DecodeValue for Receiver {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        Ok(decode_capsule::<Self>(value, "pyroscope.Appendable")?.as_ref().clone())
    }

    fn encode_value(&self) -> Value {
        Value::capsule(self.clone())
    }

    fn type_name() -> String {
        RECEIVER.to_owned()
    }
}
