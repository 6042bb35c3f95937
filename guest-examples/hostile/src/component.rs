//! The filter: a component of the world `labels-filter`.

use std::cell::{Cell, RefCell};
use std::hint::black_box;

use crate::Behaviour;
use bindings::exports::flamegate::filter::{filter_labels, lifecycle};
use bindings::flamegate::filter::log::{self, Level};
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

thread_local! {
    static BEHAVIOUR: RefCell<Behaviour> = RefCell::default();
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// Tests write another word of the same length over this one, and have another build of the same filter.
const BUILD: &str = "build-aaaaaaaaaaaa";

struct Component;

impl lifecycle::Guest for Component {
    fn describe() -> Info {
        let mut info = Info { name: "hostile".to_owned(), version: BUILD.to_owned(), deterministic: true };
        match BEHAVIOUR.with_borrow(Clone::clone) {
            Behaviour::DescribeLoop => forever(),
            Behaviour::DescribeName(bytes) => info.name = "x".repeat(bytes),
            Behaviour::HonestCounter => info.deterministic = false,
            _ => {}
        }
        info
    }

    fn configure(config: String) -> Result<(), String> {
        let behaviour = Behaviour::parse(&config)?;
        match behaviour {
            Behaviour::ConfigureLoop => forever(),
            Behaviour::ConfigureMemory => take_all_memory(),
            Behaviour::ConfigureError(bytes) => return Err("x".repeat(bytes)),
            _ => {}
        }
        BEHAVIOUR.set(behaviour);
        Ok(())
    }
}

impl filter_labels::Guest for Component {
    fn apply(labels: Vec<Label>) -> Verdict {
        let calls = CALLS.get() + 1;
        CALLS.set(calls);
        match BEHAVIOUR.with_borrow(Clone::clone) {
            Behaviour::Loop => forever(),
            Behaviour::Spin(steps) => {
                for step in 0..steps {
                    black_box(step);
                }
                Verdict::Unchanged
            }
            Behaviour::Memory => take_all_memory(),
            Behaviour::Recursion => {
                black_box(deeper(calls));
                Verdict::Unchanged
            }
            Behaviour::WildWrite => {
                write_outside();
                Verdict::Unchanged
            }
            Behaviour::Panic => give_up(),
            Behaviour::TrapEvery(nth) if calls.is_multiple_of(nth) => give_up(),
            Behaviour::Labels(number) => {
                Verdict::Replace((0..number).map(|index| label(&format!("l{index}"), "v")).collect())
            }
            Behaviour::Value(bytes) => Verdict::Replace(vec![label("l", &"x".repeat(bytes))]),
            Behaviour::Duplicates => Verdict::Replace(vec![label("l", "1"), label("m", "1"), label("l", "2")]),
            Behaviour::PatchDuplicates => set(vec![label("l", "1"), label("l", "2")]),
            Behaviour::EmptyName => set(vec![label("", "1")]),
            Behaviour::NotUtf8 => set(vec![Label { name: "l".to_owned(), value: not_utf8() }]),
            Behaviour::Log(lines) => {
                let line = "x".repeat(1 << 20);
                (0..lines).for_each(|_| log::log(Level::Error, &line));
                Verdict::Unchanged
            }
            Behaviour::Counter | Behaviour::HonestCounter => set(vec![label("count", &calls.to_string())]),
            Behaviour::DropReason => Verdict::Drop(value(&labels, "reason").to_owned()),
            Behaviour::Lookup(table) => tables::lookup(&table, value(&labels, "key")).map_or(Verdict::Unchanged, set),
            Behaviour::Build => set(vec![label("build", BUILD)]),
            _ => Verdict::Unchanged,
        }
    }
}

fn label(name: &str, value: &str) -> Label {
    Label { name: name.to_owned(), value: value.to_owned() }
}

fn set(set: Vec<Label>) -> Verdict {
    Verdict::Patch(Patch { set, remove: Vec::new() })
}

fn value<'a>(labels: &'a [Label], name: &str) -> &'a str {
    labels.iter().find(|label| label.name == name).map_or("", |label| &label.value)
}

fn forever() -> ! {
    loop {
        black_box(());
    }
}

fn take_all_memory() -> ! {
    let mut taken = Vec::new();
    loop {
        taken.push(vec![1_u8; 1 << 20]);
        black_box(&taken);
    }
}

#[allow(unconditional_recursion, reason = "to use up the stack is what it is for")]
fn deeper(depth: u64) -> u64 {
    let page = black_box([depth; 64]);
    deeper(depth + 1) + page.iter().sum::<u64>()
}

#[allow(clippy::panic, reason = "to panic is what it is for")]
fn give_up() -> ! {
    panic!("the filter gives up")
}

#[allow(unsafe_code, reason = "a filter in C may do this, and the sandbox must bear it")]
fn write_outside() {
    let outside = black_box(usize::MAX - 64) as *mut u64;
    // SAFETY: none. The address lies outside of the memory of any instance, and the write traps.
    unsafe { outside.write_volatile(1) };
}

#[allow(unsafe_code, reason = "a filter in C may do this, and the host must bear it")]
fn not_utf8() -> String {
    // SAFETY: none. The string goes to the host as it is; nothing here looks at its text.
    unsafe { String::from_utf8_unchecked(vec![0xff, 0xfe]) }
}
