//! What our own reader makes of a recording.

use std::collections::BTreeMap;
use std::fs::File;

use profiler_core::jfr::{Options, convert};
use profiler_core::pprof::{Packing, Profile};

use super::Profiles;
use super::jvm::Recording;

/// Far more than any of the tests' profiles is.
const LIMIT: usize = 256 << 20;

/// The profiles, and how many chunks there are.
pub(crate) fn read(recording: &Recording) -> (Profiles, u64) {
    let file = File::open(recording.path()).unwrap();
    let converted = convert(&file, &Options::default()).unwrap();
    assert!(converted.broken.is_none(), "{:?}", converted.broken);
    let profiles = converted.profiles(Packing::Plain).map(|profile| {
        let profile = profile.unwrap();
        let stacks = stacks(&Profile::from_bytes(&profile.pprof.into(), LIMIT).unwrap());
        (profile.kind.name().to_owned(), stacks)
    });
    (profiles.collect(), converted.counts.chunks)
}

fn stacks(profile: &Profile) -> BTreeMap<Vec<String>, [i64; 2]> {
    let functions: BTreeMap<_, _> = profile.function.iter().map(|function| (function.id, function)).collect();
    let locations: BTreeMap<_, _> = profile.location.iter().map(|location| (location.id, location)).collect();
    let frame = |id: &u64| {
        let [line] = locations[id].line[..] else { panic!("{:?}", locations[id]) };
        format!("{}:{}", profile.string(functions[&line.function_id].name), line.line)
    };
    let mut stacks = BTreeMap::new();
    for sample in &profile.sample {
        let stack = sample.location_id.iter().map(frame).collect();
        let values = [sample.value[0], sample.value.get(1).copied().unwrap_or_default()];
        let before = stacks.insert(stack, values);
        assert_eq!(before, None, "a stack stands there twice");
    }
    stacks
}
