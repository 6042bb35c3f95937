//! `pyroscope.enrich`: a profile that names a target gets the target's labels.

use std::sync::Arc;

use alloy_syntax::schema::Export;
use alloy_syntax::{Arguments, Capsule, Invalid, Value};

use self::stage::{Counts, EnrichStage};
use super::targets::Targets;
use super::{built_in, filter_debug};
use crate::component::{Component, Context, RECEIVER_EXPORT};
use crate::filters::{Builtin, FilterSettings, Rows, Tables};
use crate::pipeline::{Fanout, Flow, Receiver};
use crate::recent::LABEL_SETS;
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{ComponentLabels, Metrics};

mod stage;

/// By this name the filter looks targets up.
const TABLE: &str = "targets";

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = EnrichArguments::validate)]
pub struct EnrichArguments {
    /// Where the labels come from; without any, profiles pass as they are.
    #[alloy(attr)]
    targets: Targets,
    /// The label of a target by which it is found.
    #[alloy(attr)]
    target_match_label: String,
    /// The label of a profile that names its target; where it is not given, `target_match_label`.
    #[alloy(attr, optional)]
    profiles_match_label: String,
    /// The labels of a target that its profiles get; where none is given, all of them.
    #[alloy(attr, optional)]
    labels_to_copy: Vec<String>,
    /// Where profiles go afterwards.
    #[alloy(attr)]
    forward_to: Vec<Receiver>,
}

impl EnrichArguments {
    fn validate(&self) -> Result<(), Invalid> {
        let of_one = std::slice::from_ref;
        for (attribute, names) in [
            ("target_match_label", of_one(&self.target_match_label)),
            ("profiles_match_label", of_one(&self.profiles_match_label)),
            ("labels_to_copy", &self.labels_to_copy),
        ] {
            if let Some(name) = names.iter().find(|name| name.contains('\n')) {
                let message = format!("{name:?} is no label's name: remove the line break");
                return Err(Invalid::attribute(attribute, message));
            }
        }
        Ok(())
    }

    /// What the filter is configured with: a label's name a line.
    fn config(&self) -> String {
        let labels_to_copy = self.labels_to_copy.iter().map(String::as_str);
        std::iter::once(self.profiles_match_label()).chain(labels_to_copy).collect::<Vec<_>>().join("\n")
    }

    fn profiles_match_label(&self) -> &str {
        if self.profiles_match_label.is_empty() { &self.target_match_label } else { &self.profiles_match_label }
    }

    fn settings(&self, component: &ComponentLabels, before: Option<&Rows>) -> Result<FilterSettings, Invalid> {
        let mut tables = Tables::default();
        let added = tables.add(TABLE, &self.target_match_label, self.targets.rows(before));
        added.map_err(|error| Invalid::attribute("targets", error.to_string()))?;
        Ok(FilterSettings {
            tables: Arc::new(tables),
            ..FilterSettings::built_in(component.to_string(), self.config())
        })
    }
}

/// The running component.
pub struct Enrich {
    stage: Arc<EnrichStage>,
    component: ComponentLabels,
    metrics: Arc<Metrics>,
}

impl Component for Enrich {
    const NAME: &'static str = "pyroscope.enrich";
    const SUMMARY: &'static str = "Gives profiles the labels of the targets that they name, in the sandbox.";
    const EXPORTS: &'static [Export] = &[RECEIVER_EXPORT];
    type Arguments = EnrichArguments;

    fn build(arguments: &EnrichArguments, context: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let Context { component, services } = context;
        let running = previous.map(|previous| previous.stage.filter.generation());
        let before = running.as_ref().map(|generation| generation.filter().settings());
        let settings = arguments.settings(component, before.and_then(|before| before.tables.rows(TABLE)))?;
        let kept = previous.filter(|_| before == Some(&settings)).map(|previous| previous.stage.filter.clone());
        let filter = match kept {
            // Its verdicts hold for the same targets.
            Some(filter) => filter,
            None => built_in::filter(Builtin::ENRICH, settings, LABEL_SETS, component, services)?,
        };
        let stage = EnrichStage {
            filter,
            forward_to: Fanout::following(
                previous.map(|previous| &previous.stage.forward_to),
                arguments.forward_to.clone(),
            )
            .seen_at(context.point()),
            component: component.clone(),
            fanout: services.metrics.fanout(component),
            counts: previous.map(|previous| previous.stage.counts.clone()).unwrap_or_default(),
            failures: LogLimit::default(),
        };
        Ok(Self { stage: Arc::new(stage), component: component.clone(), metrics: services.metrics.clone() })
    }

    fn exports(&self) -> Value {
        let receiver = Receiver::new(self.component.to_string().into(), self.stage.clone());
        Value::object([("receiver", Value::Capsule(Capsule::new(receiver)))])
    }

    fn debug_info(&self) -> Option<Value> {
        let generation = self.stage.filter.generation();
        let tables = &generation.filter().settings().tables;
        let targets = tables.rows(TABLE).map_or(0, |rows| rows.targets().len());
        let Counts { matched, unmatched } = &*self.stage.counts;
        let own = [
            ("targets", Value::from(targets as u64)),
            ("matched", Value::from(matched.count())),
            ("unmatched", Value::from(unmatched.count())),
        ];
        Some(filter_debug::info(own, &self.stage.filter))
    }

    fn flow(&self) -> Option<Flow> {
        Some(self.stage.forward_to.flow())
    }

    fn activate(&self) {
        self.stage.filter.show();
    }

    fn forget(&self) {
        self.metrics.forget(&self.component);
    }
}

#[cfg(test)]
mod tests;
