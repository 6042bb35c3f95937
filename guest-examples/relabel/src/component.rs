//! The filter: a component of the world `packed-labels-filter`.

use std::cell::RefCell;

use crate::{Change, Rule, RuleSet};
use bindings::exports::flamegate::filter::filter_labels_packed::{self, Packed, PackedVerdict};
use bindings::exports::flamegate::filter::lifecycle;
use bindings::flamegate::filter::log::{self, Level};
use bindings::flamegate::filter::types::Info;

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
    wit_bindgen::generate!({ path: "../../wit", world: "packed-labels-filter", with: { "flamegate:filter/tables@0.1.0": super } }); // It looks nothing up: no trace of it.

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

impl filter_labels_packed::Guest for Component {
    fn apply(labels: Packed) -> PackedVerdict {
        let labels: Vec<(&str, &str)> = pairs(&labels).collect();
        match RULES.with_borrow(|rules| rules.apply(&labels)) {
            crate::Verdict::Unchanged => PackedVerdict::Unchanged,
            crate::Verdict::Drop(reason) => PackedVerdict::Drop(reason.to_owned()),
            crate::Verdict::Change(change) => PackedVerdict::Replace(pack(labels, &change)),
        }
    }
}

fn pairs(Packed { text, ends }: &Packed) -> impl Iterator<Item = (&str, &str)> {
    let starts = std::iter::once(0).chain(ends.iter().skip(1).step_by(2).copied());
    starts.zip(ends.chunks_exact(2)).map(|(start, ends)| {
        let &[name_end, value_end] = ends else { return ("", "") };
        let text = |from: u32, to: u32| text.get(from as usize..to as usize).unwrap_or_default();
        (text(start, name_end), text(name_end, value_end))
    })
}

/// The changed set, sorted: the host then takes it as it is.
fn pack<'a>(mut labels: Vec<(&'a str, &'a str)>, Change { removed, set }: &'a Change) -> Packed {
    let mut removed = removed.iter().peekable();
    let mut position = 0;
    labels.retain(|(name, value)| {
        let gone = removed.next_if_eq(&&position).is_some();
        position += 1;
        !gone && !value.is_empty() && !set.iter().any(|(overwritten, _)| overwritten == name)
    });
    labels.extend(set.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    labels.sort_unstable_by_key(|label| label.0);
    let mut packed = Packed {
        text: String::with_capacity(labels.iter().map(|(name, value)| name.len() + value.len()).sum()),
        ends: Vec::with_capacity(2 * labels.len()),
    };
    for part in labels.into_iter().flat_map(<[&str; 2]>::from) {
        packed.text.push_str(part);
        packed.ends.push(packed.text.len() as u32);
    }
    packed
}
