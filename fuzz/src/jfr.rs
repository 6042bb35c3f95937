//! Recordings of Java.

use std::collections::BTreeSet;

use profiler_core::jfr::{Contexts, Options, convert};
use profiler_core::pprof::{Packing, PprofError, Profile};

/// Bytes of what is kept of a recording.
const MEMORY: u64 = 1 << 20;
/// Bytes of a profile: what is kept may stand in it some times.
const LIMIT: usize = 64 << 20;

/// What does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// What came of a recording is no profile.
    #[error("the profile cannot be read: {0}")]
    Unreadable(#[from] PprofError),
    /// A profile could not be written.
    #[error("the profile cannot be written: {0}")]
    Unwritten(#[from] std::io::Error),
    /// A sample has other values than the profile has types, or no stack.
    #[error("a sample has {values} values of {types}, and {locations} locations")]
    Sample {
        /// How many there are.
        values: usize,
        /// How many there should be.
        types: usize,
        /// How long its stack is.
        locations: usize,
    },
    /// An id leads nowhere.
    #[error("the profile has no {0}")]
    Dangling(&'static str),
    /// A text stands twice.
    #[error("the profile has a text twice")]
    Texts,
}

/// Whether everything holds that must hold for any input. A panic is a failure too, and comes through.
///
/// # Errors
/// The first thing that does not hold.
pub fn check(input: &[u8]) -> Result<(), Broken> {
    let options = Options { threads: true, contexts: Some(Contexts::default()), dotted_names: true, memory: MEMORY };
    let Ok(converted) = convert(&input, &options) else { return Ok(()) };
    for profile in converted.profiles(Packing::Plain) {
        check_profile(profile?.pprof)?;
    }
    check_profile(converted.pprof(&converted.kinds(), Packing::Gzip)?)
}

fn check_profile(message: Vec<u8>) -> Result<(), Broken> {
    let profile = Profile::from_bytes(&message.into(), LIMIT)?;
    let functions: BTreeSet<u64> = profile.function.iter().map(|function| function.id).collect();
    let locations: BTreeSet<u64> = profile.location.iter().map(|location| location.id).collect();
    for sample in &profile.sample {
        let (values, types) = (sample.value.len(), profile.sample_type.len());
        if values != types || sample.location_id.is_empty() {
            return Err(Broken::Sample { values, types, locations: sample.location_id.len() });
        }
        if sample.location_id.iter().any(|id| !locations.contains(id)) {
            return Err(Broken::Dangling("location"));
        }
        if sample.label.iter().any(|label| profile.text(label.key).is_none() || profile.text(label.str).is_none()) {
            return Err(Broken::Dangling("label"));
        }
    }
    let mut lines = profile.location.iter().flat_map(|location| &location.line);
    if lines.any(|line| !functions.contains(&line.function_id)) {
        return Err(Broken::Dangling("function"));
    }
    if profile.function.iter().any(|function| profile.text(function.name).is_none()) {
        return Err(Broken::Dangling("name"));
    }
    let texts: BTreeSet<&String> = profile.string_table.iter().collect();
    if texts.len() < profile.string_table.len() { Err(Broken::Texts) } else { Ok(()) }
}
