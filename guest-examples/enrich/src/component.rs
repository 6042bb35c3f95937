//! The filter: a component of the world `labels-filter`.

use std::cell::RefCell;

use crate::{Settings, TABLE};
use bindings::exports::flamegate::filter::{filter_labels, lifecycle};
use bindings::flamegate::filter::tables;
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
    wit_bindgen::generate!({ path: "../../wit", world: "labels-filter" });

    export!(Component with_types_in self);

    use super::Component;
}

thread_local!(static SETTINGS: RefCell<Settings> = RefCell::default());

struct Component;

impl lifecycle::Guest for Component {
    fn describe() -> Info {
        Info { name: "enrich".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), deterministic: true }
    }

    fn configure(config: String) -> Result<(), String> {
        SETTINGS.set(Settings::parse(&config));
        Ok(())
    }
}

impl filter_labels::Guest for Component {
    /// A patch wherever a target is found, be it one that changes nothing.
    fn apply(labels: Vec<Label>) -> Verdict {
        SETTINGS.with_borrow(|settings| {
            let named = labels.iter().find(|label| label.name == settings.match_label());
            let Some(named) = named.filter(|label| !label.value.is_empty()) else { return Verdict::Unchanged };
            let Some(mut row) = tables::lookup(TABLE, &named.value) else { return Verdict::Unchanged };
            row.retain(|label| settings.copies(&label.name, &label.value));
            Verdict::Patch(Patch { set: row, remove: Vec::new() })
        })
    }
}
