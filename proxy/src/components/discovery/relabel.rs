//! `discovery.relabel`: rewrites and filters the labels of targets by rules, natively.

use std::collections::HashMap;

use alloy_syntax::schema::Export;
use alloy_syntax::{Arguments, Capsule, Invalid, Value};
use flamegate_relabel::{RuleSet, Verdict};
use profiler_core::labels::{LabelError, Labels};
use rapidhash::fast::RandomState;

use super::super::rule::{RuleArguments, Rules};
use super::super::targets::Targets;
use super::{TARGETS, TargetSet};
use crate::component::{Component, Context, Health};
use crate::telemetry::metrics::ComponentLabels;

#[cfg(test)]
mod tests;

const OUTPUT: Export = Export { name: "output", ..TARGETS };

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
pub struct DiscoveryRelabelArguments {
    /// The targets.
    #[alloy(attr)]
    targets: Targets,
    /// The rules, applied in order. A target that is left without labels is dropped.
    #[alloy(block, optional, name = "rule")]
    rules: Vec<RuleArguments>,
}

/// The component.
pub struct DiscoveryRelabel {
    rules: Rules,
    /// In words for the user.
    warnings: Vec<String>,
    judged: Judged,
    output: TargetSet,
    /// The first target that is left out because its labels became too large.
    too_large: Option<LabelError>,
    component: ComponentLabels,
}

/// What became of each target: `None` where it was dropped.
type Judged = HashMap<Labels, Option<Labels>, RandomState>;

impl Component for DiscoveryRelabel {
    const NAME: &'static str = "discovery.relabel";
    const SUMMARY: &'static str = "Rewrites and filters the labels of targets by rules.";
    const EXPORTS: &'static [Export] =
        &[OUTPUT, Export { name: "rules", type_name: "rules", doc: "The rules: for other components that relabel." }];
    type Arguments = DiscoveryRelabelArguments;

    fn build(
        arguments: &DiscoveryRelabelArguments,
        context: &Context<'_>,
        previous: Option<&Self>,
    ) -> Result<Self, Invalid> {
        let rules = Rules::new(&arguments.rules);
        let compiled = rules.compile().map_err(|error| Invalid::block(error.to_string()))?;
        // What the same rules made of a target still holds.
        let before = previous.filter(|previous| previous.rules == rules).map(|previous| &previous.judged);
        let rows = arguments.targets.rows(None);
        let mut judged = Judged::with_capacity_and_hasher(rows.targets().len(), RandomState::default());
        let (mut output, mut too_large) = (Vec::new(), None);
        for target in rows.targets() {
            let known = judged.get(target).or_else(|| before?.get(target)).cloned();
            match known.map_or_else(|| relabel(target, &compiled), Ok) {
                Ok(relabelled) => {
                    output.extend(relabelled.clone());
                    judged.insert(target.clone(), relabelled);
                }
                Err(error) => drop(too_large.get_or_insert(error)),
            }
        }
        let output = match previous.filter(|previous| *previous.output.targets == *output) {
            Some(previous) => previous.output.clone(),
            None => TargetSet::new(output),
        };
        let warnings = compiled.warnings().to_vec();
        Ok(Self { rules, warnings, judged, output, too_large, component: context.component.clone() })
    }

    fn exports(&self) -> Value {
        Value::object([
            (OUTPUT.name, self.output.value.clone()),
            ("rules", Value::Capsule(Capsule::new(self.rules.clone()))),
        ])
    }

    fn health(&self) -> Option<Health> {
        let error = self.too_large.as_ref()?;
        Some(Health::unhealthy(format!("a target is left out: {error}; shorten what the rules write")))
    }

    fn debug_info(&self) -> Option<Value> {
        Some(Value::object([("targets", Value::from(self.output.targets.len() as u64))]))
    }

    fn activate(&self) {
        let component_id = &self.component;
        for warning in &self.warnings {
            tracing::warn!(%component_id, "{warning}");
        }
    }
}

/// The target after the rules: the same labels where none changed it, `None` where it is dropped.
fn relabel(target: &Labels, rules: &RuleSet) -> Result<Option<Labels>, LabelError> {
    // Rules may make labels of nothing, but do not look at an empty set; a label without a value is none.
    let labels = if target.is_empty() { vec![("", "")] } else { target.iter().collect() };
    Ok(match rules.apply(&labels) {
        Verdict::Unchanged => Some(target.clone()),
        Verdict::Drop(_) => None,
        Verdict::Change(change) => {
            let mut relabelled = target.to_builder();
            for (name, _) in change.removed.iter().filter_map(|position| labels.get(*position)) {
                relabelled.remove(*name);
            }
            for (name, value) in change.set {
                relabelled.set(name, value);
            }
            Some(relabelled.build()?)
        }
    })
}
