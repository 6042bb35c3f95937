//! Places at which threads are sampled.

use std::collections::BTreeSet;
use std::path::Path;

use profiler_core::kernel::Probe;
use profiler_core::sampler::{Origin, Sampler, Scope, Settings, Trace};

use crate::live::names::Names;
use crate::live::program::{Target, compiled};
use crate::{assert_complete, start_with, wait_for};

#[test]
fn each_call_of_a_function_is_counted_with_its_stack() {
    assert_eq!(innermost_of_visits("uprobe"), "visit");
}

#[test]
fn each_return_of_a_function_is_counted_in_its_caller() {
    assert_eq!(innermost_of_visits("uretprobe"), "compare_by_visit");
}

/// The function in which the probe's samples are.
fn innermost_of_visits(kind: &str) -> String {
    let target = Target::start(&["visits"]);
    // The test beside this one has a probe there as well.
    let other = Target::start(&["visits"]);
    let probe = format!("{kind}:{}:visit", compiled().display());
    let probes = vec![probe.parse().unwrap()];
    let sampler =
        start_with(&Settings { probes, off_cpu_threshold: 1.0, ..Settings::new(Scope::Pids(vec![target.pid()])) });
    let names = Names::of(&sampler);
    // Its tables are there when it sleeps with a whole stack.
    let at_root = |trace: &Trace| trace.user.last().is_some_and(|frame| names.of_frame(frame) == "_start");
    wait_for(|| sampler.collect().iter().any(|trace| trace.origin == Origin::OffCpu && at_root(trace)));
    other.permit();
    target.permit();
    let mut visits = Vec::new();
    wait_for(|| {
        visits.extend(sampler.collect().into_iter().filter(|trace| trace.origin == Origin::Probe));
        visits.iter().map(|trace| trace.value).sum::<u64>() >= 100
    });
    assert_eq!(visits.iter().map(|trace| trace.value).sum::<u64>(), 100);
    assert!(visits.iter().all(|trace| trace.pid == target.pid()));
    assert_complete(&visits, &names);
    let innermost = visits.iter().filter_map(|trace| trace.user.first()).map(|frame| names.of_frame(frame));
    let functions: BTreeSet<String> = innermost.collect();
    assert_eq!(functions.len(), 1, "{functions:?}");
    functions.into_iter().collect()
}

#[test]
fn probes_that_cannot_be_are_refused_by_name() {
    let refusal = |probe: &str| {
        let probes = vec![probe.parse::<Probe>().unwrap()];
        Sampler::start(&Settings { probes, ..Settings::new(Scope::All) }).unwrap_err().to_string()
    };
    for absent in ["uprobe:/absent/program:main".to_owned(), format!("uprobe:{}:absent", compiled().display())] {
        let error = refusal(&absent);
        assert!(error.starts_with(&format!("{absent}: ")) && !error.contains('\n'), "{error}");
    }
    let has_kprobes = Path::new("/sys/bus/event_source/devices/kprobe").exists();
    let expected =
        if has_kprobes { "kprobe:no_such_function: " } else { "kprobe:no_such_function: the kernel has no kprobes" };
    let error = refusal("kprobe:no_such_function");
    assert!(error.starts_with(expected), "{error}");
}
