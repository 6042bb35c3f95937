//! `pyroscope.relabel`: rewrites and filters the labels of series, and those of samples, by rules that run in the
//! sandbox.

use std::num::NonZeroUsize;
use std::sync::Arc;

use alloy_syntax::schema::Export;
use alloy_syntax::{Arguments, Capsule, Invalid, Value};

use self::samples::SampleRules;
use self::stage::RelabelStage;
use super::rule::{RuleArguments, Rules};
use super::{built_in, filter_debug};
use crate::component::{Component, Context, RECEIVER_EXPORT, Services};
use crate::filters::{Builtin, Filter, FilterSettings};
use crate::pipeline::{Fanout, Flow, Receiver};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, Metrics};

mod samples;
mod stage;

/// What the rules for samples are called in metrics and logs, behind the component's id.
const SAMPLES: &str = "sample_rule";

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
    /// Rules for the labels inside profiles, applied in order to the text labels of each sample; numbers stay. A sample
    /// whose labels are dropped goes, a profile without samples too, and samples that become equal are merged. Of
    /// several labels of one name the rules see the first, and the others stay only if it stays as it is. Read are pprof,
    /// and JFR with the labels beside it: one of which samples are dropped, or get labels that had none, goes on as pprof.
    /// Other formats go on as they are, counted.
    #[alloy(block, optional, name = "sample_rule")]
    sample_rules: Vec<RuleArguments>,
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
    sample_rules: Rules,
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
        let Context { component, services } = context;
        let (rules, sample_rules) = (Rules::new(&arguments.rules), Rules::new(&arguments.sample_rules));
        let cache_size = arguments.cache_size().unwrap_or(NonZeroUsize::MIN);
        // Verdicts of the same rules of before still hold.
        let filter = match previous.filter(|previous| previous.rules == rules) {
            Some(previous) => previous.stage.filter.clone(),
            None => filter(&rules, cache_size, component, services)?,
        };
        let samples = match previous.filter(|previous| previous.sample_rules == sample_rules) {
            Some(previous) => previous.stage.samples.clone(),
            None if arguments.sample_rules.is_empty() => None,
            None => Some(Arc::new(samples(&sample_rules, cache_size, context)?)),
        };
        let stage = RelabelStage {
            filter,
            samples,
            forward_to: Fanout::new(arguments.forward_to.clone()).seen_at(context.point()),
            component: component.clone(),
            metrics: services.metrics.relabel(component),
            fanout: services.metrics.fanout(component),
            failures: LogLimit::default(),
        };
        let (component, metrics) = (component.clone(), services.metrics.clone());
        Ok(Self { stage: Arc::new(stage), rules, sample_rules, cache_size, component, metrics })
    }

    fn exports(&self) -> Value {
        let receiver = Receiver::new(self.component.to_string().into(), self.stage.clone());
        Value::object([
            ("receiver", Value::Capsule(Capsule::new(receiver))),
            ("rules", Value::Capsule(Capsule::new(self.rules.clone()))),
        ])
    }

    fn debug_info(&self) -> Option<Value> {
        Some(filter_debug::info([], &self.stage.filter))
    }

    fn flow(&self) -> Option<Flow> {
        Some(self.stage.forward_to.flow())
    }

    fn activate(&self) {
        let samples = self.stage.samples.iter().map(|samples| &samples.filter);
        for filter in samples.chain([&self.stage.filter]) {
            filter.generation().resize(self.cache_size);
            filter.show();
        }
        if self.stage.samples.is_none() {
            self.metrics.forget(&self.component.part(SAMPLES));
        }
        self.stage.show_cache_size();
    }

    fn forget(&self) {
        self.metrics.forget(&self.component);
        self.metrics.forget(&self.component.part(SAMPLES));
    }
}

fn samples(rules: &Rules, cache_size: NonZeroUsize, context: &Context<'_>) -> Result<SampleRules, Invalid> {
    let Context { component, services } = context;
    let component = component.part(SAMPLES);
    Ok(SampleRules {
        filter: filter(rules, cache_size, &component, services)?,
        host: services.filters.clone(),
        metrics: services.metrics.sample_rules(&component),
        component,
        told: Default::default(),
        failures: LogLimit::default(),
    })
}

fn filter(
    rules: &Rules,
    cache_size: NonZeroUsize,
    component: &ComponentLabels,
    services: &Services,
) -> Result<Arc<Filter>, Invalid> {
    let config = rules.to_json().map_err(|error| Invalid::block(error.to_string()))?;
    let settings = FilterSettings::built_in(component.to_string(), config);
    built_in::filter(Builtin::RELABEL, settings, cache_size, component, services)
}

#[cfg(test)]
mod tests;
