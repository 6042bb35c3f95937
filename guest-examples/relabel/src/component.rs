//! The filter: a component of the world `labels-filter`.

use std::cell::RefCell;

use crate::{Change, Rule, RuleSet};
use bindings::exports::flamegate::filter::{filter_labels, lifecycle};
use bindings::flamegate::filter::log::{self, Level};
use bindings::flamegate::filter::types::{Info, Label, Patch, Verdict};

#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::undocumented_unsafe_blocks,
    clippy::allow_attributes_without_reason,
    reason = "generated from the contract"
)]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "labels-filter", with: { "flamegate:filter/tables@0.1.0": super } }); // It looks nothing up: no trace of it.

    export!(Component with_types_in self);

    use super::Component;
}

thread_local!(static RULES: RefCell<RuleSet> = RefCell::default());

struct Component;

impl lifecycle::Guest for Component {
    fn describe() -> Info {
        Info { name: "relabel".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), deterministic: true }
    }

    /// `config` is a JSON list of rules; the attributes of a rule have the names and the defaults of the `rule` block.
    fn configure(config: String) -> Result<(), String> {
        let rules: Vec<Rule> = serde_json::from_str(&config)
            .map_err(|error| format!("the configuration must be a JSON list of rules: {error}"))?;
        let rules = RuleSet::compile(rules).map_err(|error| error.to_string())?;
        for warning in rules.warnings() {
            log::log(Level::Warn, warning);
        }
        RULES.set(rules);
        Ok(())
    }
}

impl filter_labels::Guest for Component {
    fn apply(labels: Vec<Label>) -> Verdict {
        match RULES.with_borrow(|rules| rules.apply(&labels)) {
            crate::Verdict::Unchanged => Verdict::Unchanged,
            crate::Verdict::Drop(reason) => Verdict::Drop(reason.to_owned()),
            crate::Verdict::Change(change) => answer(labels, change),
        }
    }
}

impl crate::Label for Label {
    fn name(&self) -> &str {
        &self.name
    }
    fn value(&self) -> &str {
        &self.value
    }
}

/// The verdict that is cheaper to lift: the host pays for each string that it takes out of the sandbox.
fn answer(mut labels: Vec<Label>, Change { removed, set }: Change) -> Verdict {
    let overwritten = |label: &Label| set.iter().any(|(name, _)| *name == label.name);
    let strings_of_patch = 2 * set.len() + removed.len();
    let strings_of_whole = 2 * (labels.len() - removed.len());
    if strings_of_patch <= strings_of_whole {
        let remove = removed
            .into_iter()
            .filter_map(|position| labels.get_mut(position).map(|label| std::mem::take(&mut label.name)))
            .collect();
        return Verdict::Patch(Patch { set: written(set).collect(), remove });
    }
    let mut removed = removed.into_iter().peekable();
    let mut position = 0;
    labels.retain(|label| {
        let gone = removed.next_if_eq(&position).is_some();
        position += 1;
        !gone && !overwritten(label)
    });
    labels.extend(written(set));
    Verdict::Replace(labels)
}

fn written(set: Vec<(String, String)>) -> impl Iterator<Item = Label> {
    set.into_iter().map(|(name, value)| Label { name, value })
}
