//! The filter: a component of the world `profile-filter`, with a clock.

use std::cell::RefCell;
use std::fmt::Write;

use bindings::exports::flamegate::filter::{filter_profile, lifecycle};
use bindings::flamegate::filter::clock;
use bindings::flamegate::filter::profile::{LabelValue, Profile, Quantity, Relabelling, Renaming, SampleLabel};
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
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package flamegate:probe; world probe {
            include flamegate:filter/profile-filter@0.1.0;
            import flamegate:filter/clock@0.1.0;
        }",
        world: "flamegate:probe/probe",
        generate_all,
    });

    export!(Component with_types_in self);

    use super::Component;
}

const ALL: u32 = u32::MAX;

thread_local!(static ORDERS: RefCell<Vec<String>> = RefCell::default());

struct Component;

impl lifecycle::Guest for Component {
    fn describe() -> Info {
        Info { name: "probe".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned(), deterministic: true }
    }

    fn configure(config: String) -> Result<(), String> {
        ORDERS.set(config.lines().map(str::to_owned).collect());
        Ok(())
    }
}

impl filter_profile::Guest for Component {
    fn apply(_: Vec<Label>, profile: &Profile) -> Verdict {
        let mut set = Vec::new();
        for order in ORDERS.with_borrow(Clone::clone) {
            let words: Vec<&str> = order.split(' ').collect();
            match words[..] {
                ["drop", reason] => return Verdict::Drop(reason.to_owned()),
                ["trap"] => std::process::abort(),
                ["spin"] => loop {
                    std::hint::spin_loop();
                },
                ["now"] => set.push(label("read", clock::now().to_string())),
                ["read"] => set.push(label("read", read(profile))),
                ["read-labels"] => set.push(label("read", format!("{:?}", profile.sample_labels(0, ALL)))),
                ["range", first, count] => {
                    let handed = profile.samples(number(first), number(count)).len();
                    set.push(label("range", handed.to_string()));
                }
                _ => change(profile, &words),
            }
        }
        if set.is_empty() { Verdict::Unchanged } else { Verdict::Patch(Patch { set, remove: Vec::new() }) }
    }
}

fn change(profile: &Profile, order: &[&str]) {
    let places = |words: &[&str]| words.iter().map(|word| number(word)).collect::<Vec<_>>();
    match order {
        ["rename", function, name, file @ ..] => {
            let file = file.first().map(|file| (*file).to_owned());
            profile.rename_functions(&[Renaming { function: number(function), name: (*name).to_owned(), file }]);
        }
        ["drop-samples", samples @ ..] => profile.drop_samples(&places(samples)),
        ["drop-types", types @ ..] => profile.drop_sample_types(&places(types)),
        ["label", sample, labels @ ..] => {
            let labels = labels.iter().filter_map(|label| sample_label(label)).collect();
            profile.set_sample_labels(&[Relabelling { sample: number(sample), labels }]);
        }
        _ => {}
    }
}

/// In one line: sample types, functions, locations and samples.
fn read(profile: &Profile) -> String {
    let mut said = format!("{} functions, {} samples:", profile.function_count(), profile.sample_count());
    for counted in profile.sample_types() {
        let _infallible = write!(said, " {}/{}", counted.kind, counted.unit);
    }
    let names = profile.function_names(0, ALL);
    for (function, name) in profile.functions(0, ALL).iter().zip(&names) {
        let _infallible = write!(said, "; function {name}={} {}:{}", function.name, function.file, function.start_line);
    }
    for location in profile.locations(0, ALL) {
        let _infallible = write!(said, "; location {:#x} {}", location.address, location.mapping);
        for line in location.lines {
            let _infallible = write!(said, " {}:{}", line.function, line.number);
        }
    }
    for sample in profile.samples(0, ALL) {
        let _infallible = write!(said, "; sample {:?} {:?}", sample.stack, sample.values);
        for label in sample.labels {
            let _infallible = match label.value {
                LabelValue::Text(text) => write!(said, " {}={text}", label.key),
                LabelValue::Number(Quantity { value, unit }) => write!(said, " {}=#{value}:{unit}", label.key),
            };
        }
    }
    said
}

fn sample_label(word: &str) -> Option<SampleLabel> {
    let (key, value) = word.split_once('=')?;
    let value = match value.strip_prefix('#').and_then(|number| number.split_once(':')) {
        Some((value, unit)) => LabelValue::Number(Quantity { value: value.parse().ok()?, unit: unit.to_owned() }),
        None => LabelValue::Text(value.to_owned()),
    };
    Some(SampleLabel { key: key.to_owned(), value })
}

fn label(name: &str, value: String) -> Label {
    Label { name: name.to_owned(), value }
}

fn number(word: &str) -> u32 {
    word.parse().unwrap_or(u32::MAX)
}
