//! `pyroscope.relabel`: rewrites and filters the labels of series by rules that run in the sandbox.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use alloy_syntax::schema::Export;
use alloy_syntax::{Arguments, Capsule, Invalid, Value};

use self::rule::{RuleArguments, Rules};
use self::stage::RelabelStage;
use crate::component::{Component, Context, RECEIVER_EXPORT};
use crate::filters::{Builtin, Filter, FilterSettings, Generation, Remember, Tables};
use crate::pipeline::{Fanout, Flow, Receiver};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, Metrics};

mod rule;
mod stage;

/// The longest that the rules may take for one label set. They are linear in it, and take some microseconds.
const TIMEOUT: Duration = Duration::from_millis(100);
/// The most memory of an instance; compiled rules of usual size take a hundredth of it.
const MEMORY_LIMIT: usize = 64 << 20;

/// The rules are the user's, and whatever they take is what was asked for.
const CPU_SHARE: f64 = 1.0;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = RelabelArguments::validate)]
pub struct RelabelArguments {
    /// Where profiles go afterwards.
    #[alloy(attr)]
    forward_to: Vec<Receiver>,
    /// Label sets whose verdict is remembered.
    #[alloy(attr, default = 10_000)]
    max_cache_size: i64,
    /// The rules, applied in order.
    #[alloy(block, optional, name = "rule")]
    rules: Vec<RuleArguments>,
}

impl RelabelArguments {
    fn cache_size(&self) -> Option<NonZeroUsize> {
        usize::try_from(self.max_cache_size).ok().and_then(NonZeroUsize::new)
    }

    fn validate(&self) -> Result<(), Invalid> {
        let message = "max_cache_size must be greater than 0: must provide a positive size";
        self.cache_size().map(drop).ok_or_else(|| Invalid::attribute("max_cache_size", message))
    }
}

/// The running component.
pub struct Relabel {
    stage: Arc<RelabelStage>,
    rules: Rules,
    cache_size: NonZeroUsize,
    component: ComponentLabels,
    metrics: Arc<Metrics>,
}

impl Component for Relabel {
    const NAME: &'static str = "pyroscope.relabel";
    const SUMMARY: &'static str = "Rewrites and filters the labels of profiles by rules, in the sandbox.";
    const EXPORTS: &'static [Export] = &[
        RECEIVER_EXPORT,
        Export { name: "rules", type_name: "rules", doc: "The rules: for other components that relabel." },
    ];
    type Arguments = RelabelArguments;

    fn build(arguments: &RelabelArguments, context: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let rules = Rules::new(&arguments.rules);
        let cache_size = arguments.cache_size().unwrap_or(NonZeroUsize::MIN);
        let kept = previous.filter(|previous| previous.rules == rules).map(|previous| &previous.stage);
        let filter = match kept {
            // Verdicts on the old rules hold for the new ones too.
            Some(stage) => stage.filter.clone(),
            None => filter(&rules, cache_size, context)?,
        };
        let Context { component, services } = context;
        let stage = RelabelStage {
            filter,
            forward_to: Fanout::new(arguments.forward_to.clone()),
            component: component.clone(),
            metrics: services.metrics.relabel(component),
            fanout: services.metrics.fanout(component),
            failures: LogLimit::default(),
        };
        let (component, metrics) = (component.clone(), services.metrics.clone());
        Ok(Self { stage: Arc::new(stage), rules, cache_size, component, metrics })
    }

    fn exports(&self) -> Value {
        let receiver = Receiver::new(self.component.to_string().into(), self.stage.clone());
        Value::object([
            ("receiver", Value::Capsule(Capsule::new(receiver))),
            ("rules", Value::Capsule(Capsule::new(self.rules.clone()))),
        ])
    }

    fn flow(&self) -> Option<Flow> {
        Some(self.stage.forward_to.flow())
    }

    fn activate(&self) {
        self.stage.filter.generation().resize(self.cache_size);
        self.stage.filter.show();
        self.stage.show_cache_size();
    }

    fn forget(&self) {
        self.metrics.forget(&self.component);
    }
}

fn filter(rules: &Rules, cache_size: NonZeroUsize, context: &Context<'_>) -> Result<Arc<Filter>, Invalid> {
    let settings = FilterSettings {
        name: context.component.to_string().into(),
        config: rules.to_json().map_err(|error| Invalid::block(error.to_string()))?,
        tables: Arc::new(Tables::default()),
        capabilities: Vec::new(),
        timeout: TIMEOUT,
        memory_limit: MEMORY_LIMIT,
        cpu_share: CPU_SHARE,
    };
    let Context { component, services } = context;
    let built_in = services.filters.builtin(Builtin::RELABEL);
    let (module, origin) = built_in.map_err(|error| Invalid::block(error.to_string()))?;
    let remember = Remember { label_sets: Some(cache_size), deterministic: None };
    let generation = Generation::new(&module, settings, remember);
    let generation = generation.map_err(|error| Invalid::block(error.to_string()))?;
    let metrics = services.metrics.filter(component);
    metrics.loaded(origin);
    Ok(Arc::new(Filter::new(Arc::new(generation), &services.filters, metrics)))
}

#[cfg(test)]
mod tests;
