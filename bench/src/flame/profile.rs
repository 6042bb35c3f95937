//! Profiles of half a million samples, the same bytes each time.

use profiler_core::pprof::{Function, Line, Location, Profile, Sample, ValueType, gzip};
use prost::Message;

pub(super) const SAMPLES: usize = 500_000;
/// Functions, each at one place.
pub(super) const FRAMES: u64 = 200_000;
const SEED: u64 = 11;
/// Functions in a stack.
const DEPTHS: std::ops::RangeInclusive<usize> = 16..=44;
/// Functions that one calls.
const CALLEES: u64 = 6;

/// How stacks are made.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    /// From function to function as a program calls them: a few of each, one of these far more often than the others.
    Program,
    /// Any function below any other: hardly two stacks begin alike.
    Random,
}

/// Gzipped.
pub(super) fn make(shape: Shape) -> std::io::Result<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut strings: Vec<String> = ["", "cpu", "nanoseconds"].map(str::to_owned).to_vec();
    let first = strings.len() as i64;
    strings.extend(
        (1..=FRAMES).map(|id| format!("example.org/shop/orders/v{}.(*Order{id}).step{:x}", id % 97, random.u16(..))),
    );
    let cpu = ValueType { kind: 1, unit: 2 };
    let sample = |_| Sample {
        location_id: stack(shape, &mut random),
        value: vec![random.i64(1..100) * 10_000_000],
        label: Vec::new(),
    };
    let profile = Profile {
        sample_type: vec![cpu],
        sample: (0..SAMPLES).map(sample).collect(),
        location: (1..=FRAMES)
            .map(|id| {
                let line = vec![Line { function_id: id, line: id.cast_signed() % 2000, column: 0 }];
                Location { id, address: 0x40_0000 + id * 16, line, ..Location::default() }
            })
            .collect(),
        function: (1..=FRAMES)
            .map(|id| Function { id, name: first + id.cast_signed() - 1, ..Function::default() })
            .collect(),
        string_table: strings,
        ..Profile::default()
    };
    gzip(&profile.encode_to_vec())
}

/// The innermost function first.
fn stack(shape: Shape, random: &mut fastrand::Rng) -> Vec<u64> {
    let depth = random.usize(DEPTHS);
    let mut stack: Vec<u64> = Vec::with_capacity(depth);
    for place in 0..depth as u64 {
        let caller = stack.last().copied().unwrap_or_default();
        stack.push(match shape {
            Shape::Random => random.u64(1..=FRAMES),
            Shape::Program => callee(caller, place, random),
        });
    }
    stack.reverse();
    stack
}

/// The first of what a function calls every second time, the second every fourth.
fn callee(caller: u64, depth: u64, random: &mut fastrand::Rng) -> u64 {
    let which = u64::from(random.u64(1..).trailing_zeros()).min(CALLEES - 1);
    // Any mixing does that leads from a function always to the same ones.
    let mixed = (caller * 64 + which * 8 + depth % 8).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    1 + (mixed >> 20) % FRAMES
}
