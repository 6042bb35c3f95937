//! The filter: a component of the world `profile-filter`.

use std::cell::RefCell;

use bindings::exports::flamegate::filter::{filter_profile, lifecycle};
use bindings::flamegate::filter::log::{self, Level};
use bindings::flamegate::filter::profile::{Profile, Renaming};
use bindings::flamegate::filter::types::{Info, Label, Verdict};

use crate::{REDACTED, hidden, prefixes};

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
    wit_bindgen::generate!({ path: "../../wit", world: "profile-filter" });

    export!(Component with_types_in self);

    use super::Component;
}

/// So many names are asked for at a time.
const AT_A_TIME: u32 = 10_000;

thread_local!(static PREFIXES: RefCell<Vec<String>> = RefCell::default());

struct Component;

impl lifecycle::Guest for Component {
    fn describe() -> Info {
        Info { name: "redact".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), deterministic: true }
    }

    fn configure(config: String) -> Result<(), String> {
        // What a panic says would go nowhere else.
        std::panic::set_hook(Box::new(|panic| log::log(Level::Error, &panic.to_string())));
        PREFIXES.set(prefixes(&config)?);
        Ok(())
    }
}

impl filter_profile::Guest for Component {
    fn apply(_: Vec<Label>, profile: &Profile) -> Verdict {
        PREFIXES.with_borrow(|prefixes| redact(prefixes, profile));
        // Of the labels; the profile is changed all the same.
        Verdict::Unchanged
    }
}

fn redact(prefixes: &[String], profile: &Profile) {
    let mut first = 0;
    loop {
        let names = profile.function_names(first, AT_A_TIME);
        if names.is_empty() {
            return;
        }
        let renamings = hidden(prefixes, first, &names).map(|function| Renaming {
            function,
            name: REDACTED.to_owned(),
            file: Some(String::new()),
        });
        profile.rename_functions(&renamings.collect::<Vec<_>>());
        first += names.len() as u32;
    }
}
