//! `wasm.filter`: a filter of the user's own, in the sandbox, on the labels of series or on profiles as well.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy_syntax::schema::Export;
use alloy_syntax::{Arguments, Capsule, Invalid, Value};
use bytesize::ByteSize;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;

use self::arguments::{FileDigest, Granted, OnError, OnUnsupported, TableArguments};
use self::follow::{Following, Standing};
use self::launch::{Launch, LaunchError};
use self::stage::FilterStage;
use super::filter_debug;
use super::size::Size;
use crate::component::{Component, Context, Health, RECEIVER_EXPORT};
use crate::filters::{Filter, LONGEST_TIMEOUT, MAX_MEMORY};
use crate::pipeline::{Fanout, Flow, Receiver};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, Metrics};

mod arguments;
mod follow;
mod launch;
mod module_file;
mod stage;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = WasmFilterArguments::validate)]
pub struct WasmFilterArguments {
    /// The file of the filter: a WebAssembly component.
    #[alloy(attr)]
    module: String,
    /// The SHA-256 of the file; any other is refused.
    #[alloy(attr, optional)]
    sha256: Option<FileDigest>,
    /// Handed to the filter when it is configured.
    #[alloy(attr, optional)]
    config: String,
    /// What becomes of a profile when the filter gives no verdict.
    #[alloy(attr, default = OnError::Fail)]
    on_error: OnError,
    /// What becomes of a profile that a filter of profiles cannot look into: one that is neither pprof nor JFR, or damaged.
    /// Of a JFR the filter sees what a server would make of it, each kind of profile on its own; where it changes any of
    /// them, they go on as pprof.
    #[alloy(attr, default = OnUnsupported::Pass)]
    on_unsupported: OnUnsupported,
    /// The longest that a call may take.
    #[alloy(attr, default = Duration::from_millis(50))]
    timeout: Duration,
    /// The most memory of an instance.
    #[alloy(attr, default = Size(ByteSize::mib(64)))]
    memory_limit: Size,
    /// Label sets whose verdict is remembered, 0 for none.
    #[alloy(attr, default = 10_000)]
    cache_size: i64,
    /// The most that the filter may take of all processors in a second; above it, it rests.
    #[alloy(attr, default = 0.1)]
    cpu_share: f64,
    /// Whether verdicts follow from the labels alone, whatever the filter says.
    #[alloy(attr, optional)]
    deterministic: Option<bool>,
    /// What the filter may use besides what it is handed.
    #[alloy(attr, optional)]
    capabilities: Vec<Granted>,
    /// Where profiles go afterwards.
    #[alloy(attr)]
    forward_to: Vec<Receiver>,
    /// Rows that the filter may look up.
    #[alloy(block, optional, name = "table")]
    tables: Vec<TableArguments>,
}

impl WasmFilterArguments {
    fn validate(&self) -> Result<(), Invalid> {
        let refuse = |attribute, message: String| Err(Invalid::attribute(attribute, message));
        if self.module.is_empty() {
            return refuse("module", "is empty: give the path of a WebAssembly component".to_owned());
        }
        if self.timeout.is_zero() || self.timeout > LONGEST_TIMEOUT {
            return refuse("timeout", format!("must be longer than 0s and at most {LONGEST_TIMEOUT:?}"));
        }
        if self.memory_limit.bytes() > MAX_MEMORY {
            return refuse("memory_limit", format!("must be at most {}MiB", MAX_MEMORY >> 20));
        }
        if self.cache_size < 0 {
            return refuse("cache_size", "must not be negative; 0 remembers nothing".to_owned());
        }
        if !(self.cpu_share > 0.0 && self.cpu_share <= 1.0) {
            return refuse("cpu_share", "must be greater than 0 and at most 1, which is no bound".to_owned());
        }
        Ok(())
    }
}

/// The running component.
pub struct WasmFilter {
    stage: Arc<FilterStage>,
    launch: Arc<Launch>,
    standing: Arc<Mutex<Standing>>,
    /// Follows the file, once the component has its place; ends with it.
    following: Mutex<JoinSet<()>>,
    component: ComponentLabels,
    metrics: Arc<Metrics>,
}

impl Component for WasmFilter {
    const NAME: &'static str = "wasm.filter";
    const SUMMARY: &'static str =
        "Judges and changes profiles and their labels by a filter of your own, in the sandbox.";
    const EXPORTS: &'static [Export] = &[RECEIVER_EXPORT];
    type Arguments = WasmFilterArguments;

    fn build(arguments: &WasmFilterArguments, context: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let Context { component, services } = context;
        let launch = Launch::new(arguments, context, previous.map(|previous| &*previous.launch))?;
        let kept = previous.filter(|previous| *previous.launch == launch);
        let (filter, standing) = match kept {
            // The file is followed further by whoever takes its place: another module on disk shows there.
            Some(previous) => (previous.stage.filter.clone(), previous.standing.clone()),
            None => {
                let running = previous.map(|previous| (&*previous.launch, previous.stage.filter.generation()));
                let metrics = services.metrics.filter(component);
                let (generation, standing) = launch.first(running, &metrics).map_err(LaunchError::into_invalid)?;
                let filter = Filter::new(Arc::new(generation), &services.filters, metrics);
                (Arc::new(filter), Arc::new(Mutex::new(standing)))
            }
        };
        let stage = FilterStage {
            filter,
            host: services.filters.clone(),
            on_error: arguments.on_error,
            on_unsupported: arguments.on_unsupported,
            forward_to: Fanout::new(arguments.forward_to.clone()).seen_at(context.point()),
            component: component.clone(),
            fanout: services.metrics.fanout(component),
            failures: LogLimit::default(),
        };
        Ok(Self {
            stage: Arc::new(stage),
            launch: Arc::new(launch),
            standing,
            following: Mutex::default(),
            component: component.clone(),
            metrics: services.metrics.clone(),
        })
    }

    fn exports(&self) -> Value {
        let receiver = Receiver::new(self.component.to_string().into(), self.stage.clone());
        Value::object([("receiver", Value::Capsule(Capsule::new(receiver)))])
    }

    fn health(&self) -> Option<Health> {
        Some(self.standing.lock().unwrap_or_else(PoisonError::into_inner).health.clone())
    }

    fn debug_info(&self) -> Option<Value> {
        let module = Value::string(self.launch.path().display().to_string());
        Some(filter_debug::info([("module", module)], &self.stage.filter))
    }

    fn flow(&self) -> Option<Flow> {
        Some(self.stage.forward_to.flow())
    }

    fn activate(&self) {
        if let Some(label_sets) = self.launch.label_sets() {
            self.stage.filter.generation().resize(label_sets);
        }
        self.stage.filter.show();
        let following = Following {
            launch: self.launch.clone(),
            filter: self.stage.filter.clone(),
            standing: self.standing.clone(),
            component: self.component.clone(),
        };
        self.following.lock().unwrap_or_else(PoisonError::into_inner).spawn(following.follow());
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.following.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        futures_util::future::ready(()).boxed()
    }

    fn forget(&self) {
        self.metrics.forget(&self.component);
    }
}

#[cfg(test)]
mod tests;
