//! Recordings of real JVMs, compared event by event with what the JDK's own `jfr print` says of them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

#[path = "jfr/converted.rs"]
mod converted;
#[path = "jfr/jvm.rs"]
mod jvm;
#[path = "jfr/printed.rs"]
mod printed;

use std::collections::BTreeMap;

use jvm::{Jvm, Program};

/// For each kind of profile its stacks, the innermost frame first, and their two values.
type Profiles = BTreeMap<String, BTreeMap<Vec<String>, [i64; 2]>>;

#[test]
fn recordings_of_async_profiler_are_converted_event_by_event() {
    let program = Program::compile();
    for jvm in Jvm::ALL {
        let recording = program.record(jvm, &profiler("event=cpu,interval=5ms,wall=20ms,alloc=100k,live,lock=1ms"));
        let periods = printed::Periods { cpu: 5_000_000, wall: 20_000_000 };
        let kinds = ["alloc_in_new_tlab", "block", "cpu", "live", "mutex", "wall"];
        compare(&format!("{jvm:?}"), &recording, periods, &kinds);
    }
}

#[test]
fn recordings_of_wall_clock_time_alone_have_the_cpu_too() {
    let program = Program::compile();
    let recording = program.record(Jvm::Installed, &profiler("event=wall,interval=7ms"));
    compare("wall", &recording, printed::Periods { cpu: 7_000_000, wall: 7_000_000 }, &["cpu", "wall"]);
}

#[test]
fn recordings_of_native_memory_and_of_many_chunks_are_converted_event_by_event() {
    let program = Program::compile();
    // Smaller chunks than this are not made.
    let options = profiler("event=itimer,interval=1ms,nativemem=4k,alloc=1k,chunksize=262144,threads");
    let recording = program.record(Jvm::Java25, &options);
    let periods = printed::Periods { cpu: 1_000_000, wall: 0 };
    assert!(compare("chunks", &recording, periods, &["alloc_in_new_tlab", "cpu", "malloc"]) > 1, "only one chunk");
}

#[test]
fn recordings_of_the_jdk_are_converted_event_by_event() {
    let program = Program::compile();
    for jvm in Jvm::ALL {
        let recording = program.record(jvm, "-XX:StartFlightRecording:settings=work.jfc,filename=work.jfr");
        let periods = printed::Periods { cpu: 10_000_000, wall: 0 };
        compare(&format!("{jvm:?}"), &recording, periods, &["alloc_sample", "block", "cpu", "mutex"]);
    }
}

fn profiler(options: &str) -> String {
    format!("-agentpath:{}=start,{options},jfr,file=work.jfr", jvm::profiler().display())
}

/// Hands back how many chunks there are.
fn compare(what: &str, recording: &jvm::Recording, periods: printed::Periods, kinds: &[&str]) -> u64 {
    let printed = printed::read(recording, periods);
    let (converted, chunks) = converted::read(recording);
    for kind in kinds {
        assert!(printed.contains_key(*kind), "{what}: no {kind} was recorded: {:?}", printed.keys());
    }
    assert_eq!(Vec::from_iter(printed.keys()), Vec::from_iter(converted.keys()), "{what}");
    for (kind, stacks) in &printed {
        let other = &converted[kind];
        for (stack, values) in stacks {
            let found = other.get(stack).unwrap_or_else(|| panic!("{what}: {kind} lacks {stack:#?}"));
            // Times of events are printed in whole nanoseconds, and added up here in ticks.
            let close = found[1].abs_diff(values[1]) <= values[0].unsigned_abs();
            assert!(found[0] == values[0] && close, "{what}: {kind}: {found:?}, not {values:?}, of {stack:#?}");
        }
        assert_eq!(stacks.len(), other.len(), "{what}: {kind} has stacks that no event has");
    }
    chunks
}
