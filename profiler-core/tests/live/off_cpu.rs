//! Threads that leave their CPUs.

use profiler_core::sampler::{Origin, Sampler, Scope, Settings, Trace};

use crate::live::names::Names;
use crate::live::program::Target;
use crate::{assert_complete, start_with, wait_for};

const PAUSE: u64 = 10_000_000;

#[test]
fn a_thread_that_sleeps_is_seen_with_its_stack_and_the_time() {
    let target = Target::start(&["rest"]);
    let sampler = start(Scope::Pids(vec![target.pid()]), 1.0);
    assert_rests(&sampler, target.pid());
}

#[test]
fn a_process_that_never_has_its_turn_on_a_cpu_is_found_when_it_leaves_one() {
    let sampler = start(Scope::All, 1.0);
    let target = Target::start(&["rest"]);
    assert_rests(&sampler, target.pid());
}

#[test]
fn switches_are_taken_with_the_probability_that_is_set() {
    let target = Target::start(&["rest"]);
    let all = start(Scope::Pids(vec![target.pid()]), 1.0);
    let some = start(Scope::Pids(vec![target.pid()]), 0.25);
    let (mut of_all, mut of_some) = (0, 0);
    wait_for(|| {
        of_all += total(&all.collect());
        of_some += total(&some.collect());
        of_all > 800
    });
    // Four standard deviations of 200 of 800 are 49.
    let share = of_some as f64 / of_all as f64;
    assert!((share - 0.25).abs() < 0.08, "{of_some} of {of_all}");
}

fn start(scope: Scope, off_cpu_threshold: f64) -> Sampler {
    start_with(&Settings { off_cpu_threshold, ..Settings::new(scope) })
}

fn assert_rests(sampler: &Sampler, pid: u32) {
    let names = Names::of(sampler);
    let rests = |trace: &Trace| trace.user.iter().any(|frame| names.of_frame(frame) == "rest");
    let of_process = |trace: &Trace| trace.origin == Origin::OffCpu && trace.pid == pid;
    let rooted = |trace: &Trace| trace.user.last().is_some_and(|frame| names.of_frame(frame) == "_start");
    wait_for(|| sampler.collect().iter().any(|trace| of_process(trace) && rests(trace) && rooted(trace)));
    let mut stacks = Vec::new();
    wait_for(|| {
        stacks.extend(sampler.collect().into_iter().filter(of_process));
        total(&stacks) >= 100
    });
    assert_complete(&stacks, &names);
    let (count, value) = stacks
        .iter()
        .filter(|trace| rests(trace))
        .fold((0, 0), |(count, value), trace| (count + trace.count, value + trace.value));
    // A busy machine takes it from its CPU at other times as well.
    assert!(count * 10 >= total(&stacks) * 8, "{count} of {} sleep", total(&stacks));
    assert!(value >= count * PAUSE / 10 * 9, "{value} ns in {count} pauses");
    assert!(stacks.iter().all(|trace| !trace.kernel.is_empty()), "who leaves a CPU does so in the kernel");
}

fn total(stacks: &[Trace]) -> u64 {
    stacks.iter().map(|trace| trace.count).sum()
}
