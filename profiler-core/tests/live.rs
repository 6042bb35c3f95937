//! Real programs on the real kernel. Needs root (or the capabilities that the sampler names) and a C compiler.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test's own functions cannot do fails the test")]

mod live {
    mod by_hand;
    pub(crate) mod names;
    mod off_cpu;
    mod probes;
    pub(crate) mod program;
    mod scope;
    mod symbols;
}

use std::time::{Duration, Instant};

use live::names::Names;
use live::program::{Target, library};
use profiler_core::kernel::{FrameKind, Stop};
use profiler_core::sampler::{Sampler, Scope, Settings, Trace};

/// With fewer samples the shares would be off by chance.
const ENOUGH: u64 = 600;
/// A busy machine gives a program little time.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn without_frame_pointers_through_libc_and_recursion_stacks_reach_the_root() {
    let target = Target::start(&[]);
    let sampler = start(Scope::Pids(vec![target.pid()]));
    let stacks = settled(&sampler, target.pid());
    assert!(stacks.iter().all(|trace| trace.pid == target.pid()), "another process was sampled");
    let names = Names::of(&sampler);
    assert_complete(&stacks, &names);

    let share = |function: &str| -> f64 {
        let with = |trace: &&Trace| trace.user.first().is_some_and(|frame| names.of_frame(frame) == function);
        let count: u64 = stacks.iter().filter(with).map(|trace| trace.count).sum();
        count as f64 / total(&stacks) as f64
    };
    // Three quarters of the work; what qsort itself needs is next to nothing.
    assert!((share("heavy") - 0.75).abs() < 0.08, "heavy has {}, light {}", share("heavy"), share("light"));
    let worked = stacks.iter().find(|trace| names.of_frame(&trace.user[0]) == "heavy").unwrap();
    let functions: Vec<String> = worked.user.iter().map(|frame| names.of_frame(frame)).collect();
    // Compilers append to the name what they made of a function.
    assert_eq!(functions.iter().filter(|name| name.starts_with("recurse")).count(), 41, "{functions:?}");
    assert_eq!(functions[1], "compare", "{functions:?}");
}

#[test]
fn a_signal_handlers_stack_goes_on_where_the_signal_came() {
    let target = Target::start(&["signal"]);
    let sampler = start(Scope::Pids(vec![target.pid()]));
    let stacks = settled(&sampler, target.pid());
    let names = Names::of(&sampler);
    assert_complete(&stacks, &names);
    let functions = |trace: &Trace| -> Vec<String> { trace.user.iter().map(|frame| names.of_frame(frame)).collect() };
    let in_handler = stacks.iter().map(functions).find(|names| names.iter().any(|name| name == "on_signal")).unwrap();
    let handler = in_handler.iter().position(|name| name == "on_signal").unwrap();
    assert!(in_handler[handler..].iter().any(|name| name == "main"), "{in_handler:?}");
}

#[test]
fn code_that_a_program_wrote_is_marked_and_left_by_its_frame_pointer() {
    let target = Target::start(&["written"]);
    let sampler = start(Scope::Pids(vec![target.pid()]));
    let stacks = settled(&sampler, target.pid());
    let names = Names::of(&sampler);
    assert_complete(&stacks, &names);
    let is_marked = |trace: &&Trace| {
        let written = trace.user.iter().position(|frame| frame.kind == FrameKind::Anonymous);
        written.and_then(|written| trace.user.split_at_checked(written + 1)).is_some_and(|(inner, outer)| {
            let by_pointer = outer.first().is_some_and(|frame| frame.by_pointer && frame.kind == FrameKind::Native);
            by_pointer && inner.iter().all(|frame| !frame.by_pointer)
        })
    };
    // All but those of the loop that calls it.
    let marked: u64 = stacks.iter().filter(is_marked).map(|trace| trace.count).sum();
    let other = stacks.iter().find(|trace| !is_marked(trace));
    assert!(marked * 100 >= total(&stacks) * 99, "{marked} of {}: {other:?}", total(&stacks));
}

#[test]
fn the_kernels_own_library_is_unwound() {
    let target = Target::start(&["clock"]);
    let sampler = start(Scope::Pids(vec![target.pid()]));
    let names = Names::of(&sampler);
    let in_vdso = |trace: &Trace| names.of_frame(&trace.user[0]).starts_with("[vdso]");
    let rooted = |trace: &Trace| trace.user.last().is_some_and(|frame| names.of_frame(frame) == "_start");
    let stacks = settled_when(&sampler, target.pid(), |trace| in_vdso(trace) && rooted(trace));
    assert_complete(&stacks, &names);
}

#[test]
fn thousands_of_mappings_are_searched() {
    let target = Target::start(&["mappings"]);
    let maps = || std::fs::read_to_string(format!("/proc/{}/maps", target.pid())).unwrap();
    wait_for(|| maps().lines().filter(|line| line.contains("r-xp")).count() > 2048);
    let sampler = start(Scope::Pids(vec![target.pid()]));
    assert_complete(&settled(&sampler, target.pid()), &Names::of(&sampler));
}

#[test]
fn a_library_that_is_opened_late_is_noticed() {
    let target = Target::start(&["library", library().to_str().unwrap()]);
    let sampler = start(Scope::Pids(vec![target.pid()]));
    assert_complete(&settled(&sampler, target.pid()), &Names::of(&sampler));
    target.permit();
    let names = Names::of(&sampler);
    let complete = |trace: &Trace| {
        let root = trace.user.last().map(|frame| names.of_frame(frame));
        names.of_frame(&trace.user[0]) == "late_work" && root.as_deref() == Some("_start")
    };
    wait_for(|| sampler.collect().iter().any(complete));
    wait_for(|| sampler.statistics().kernel.stale > 0);
}

#[test]
fn tables_take_no_more_memory_than_they_may() {
    // Room for the program's own, not for libc's.
    const MEMORY: u64 = 64 << 10;
    let target = Target::start(&[]);
    let scope = Scope::Pids(vec![target.pid()]);
    let sampler = start_with(&Settings { sample_rate: 499, table_memory: MEMORY, ..Settings::new(scope) });
    let by_table = |trace: &Trace| trace.user.get(1).is_some_and(|frame| !frame.by_pointer);
    wait_for(|| sampler.collect().iter().any(by_table));
    wait_for(|| sampler.statistics().refused > 0);
    let statistics = sampler.statistics();
    assert!(statistics.rows > 0 && statistics.rows * 8 <= MEMORY, "{statistics:?}");
}

#[test]
fn a_process_that_comes_later_is_found() {
    let sampler = start(Scope::All);
    let target = Target::start(&[]);
    let stacks = settled(&sampler, target.pid());
    assert_complete(&stacks, &Names::of(&sampler));
}

#[test]
fn a_program_that_becomes_another_is_read_anew() {
    let mut target = Target::start_through_exec();
    let sampler = start(Scope::Pids(vec![target.pid()]));
    target.let_go();
    let stacks = settled(&sampler, target.pid());
    let names = Names::of(&sampler);
    assert_complete(&stacks, &names);
    assert!(stacks.iter().any(|trace| names.of_frame(&trace.user[0]) == "heavy"));
}

#[test]
fn a_process_that_ends_is_forgotten() {
    let target = Target::start(&[]);
    let sampler = start(Scope::Pids(vec![target.pid()]));
    wait_for(|| sampler.statistics().processes == 1);
    let ended = Instant::now();
    drop(target);
    wait_for(|| sampler.statistics().processes == 0);
    // Else it was not the kernel that told.
    assert!(ended.elapsed() < Duration::from_secs(30), "found after {:?}, by looking around", ended.elapsed());
}

#[test]
fn what_cannot_be_sampled_is_said_in_one_line() {
    let refusal =
        |sample_rate, scope| Sampler::start(&Settings { sample_rate, ..Settings::new(scope) }).unwrap_err().to_string();
    assert_eq!(refusal(0, Scope::All), "a sample rate of 0: it must be 1 to 10000");
    let all = Settings { off_cpu_threshold: 1.5, ..Settings::new(Scope::All) };
    assert_eq!(Sampler::start(&all).unwrap_err().to_string(), "an off-CPU threshold of 1.5: it must be 0 to 1");
    let too_many = Scope::Cgroups((0..5000).collect());
    assert_eq!(refusal(97, too_many), "5000 cgroups: no more than 4096 can be sampled");
    // Larger than any pid can be (PID_MAX_LIMIT).
    let absent = refusal(97, Scope::Pids(vec![1 << 30]));
    assert!(absent.starts_with("the process 1073741824 cannot be sampled: ") && !absent.contains('\n'), "{absent}");
}

fn start(scope: Scope) -> Sampler {
    start_with(&Settings { sample_rate: 499, ..Settings::new(scope) })
}

fn start_with(settings: &Settings) -> Sampler {
    match Sampler::start(settings) {
        Ok(sampler) => sampler,
        Err(error) => panic!("this test needs root and a kernel with BPF: {error}"),
    }
}

/// Stacks of a process from the time on when its unwind tables are there.
fn settled(sampler: &Sampler, pid: u32) -> Vec<Trace> {
    // The way leads through libc, or it was luck.
    settled_when(sampler, pid, |trace| trace.stop == Stop::Complete && trace.user.len() > 40)
}

fn settled_when(sampler: &Sampler, pid: u32, is_settled: impl Fn(&Trace) -> bool) -> Vec<Trace> {
    let of_process = |traces: Vec<Trace>| traces.into_iter().filter(|trace| trace.pid == pid).collect::<Vec<_>>();
    wait_for(|| of_process(sampler.collect()).iter().any(&is_settled));
    let mut stacks = Vec::new();
    wait_for(|| {
        stacks.extend(of_process(sampler.collect()));
        total(&stacks) >= ENOUGH
    });
    stacks
}

fn assert_complete(stacks: &[Trace], names: &Names) {
    let at_root = |trace: &&Trace| {
        trace.stop == Stop::Complete && trace.user.last().is_some_and(|frame| names.of_frame(frame) == "_start")
    };
    let complete: u64 = stacks.iter().filter(at_root).map(|trace| trace.count).sum();
    let first_other = stacks.iter().find(|trace| !at_root(trace));
    assert!(complete * 100 >= total(stacks) * 99, "{complete} of {} reach _start: {first_other:?}", total(stacks));
}

fn total(stacks: &[Trace]) -> u64 {
    stacks.iter().map(|trace| trace.count).sum()
}

fn wait_for(mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "it did not happen within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
