//! Programs of .NET that measure their own work: what the samples say of them is what they say of themselves, in stacks
//! that reach the root, whichever way their methods were compiled.
//!
//! Needs root (or the capabilities that the sampler names), mono's compiler, and two runtimes, which the test command
//! installs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's own functions cannot do fails the test"
)]
#![cfg(target_arch = "x86_64")]

#[path = "dotnet/programs.rs"]
mod programs;
#[path = "truth/running.rs"]
mod running;

use std::collections::BTreeMap;

use profiler_core::kernel::{FrameKind, RuntimeWalk, Runtimes, Stop, Unwinder};
use profiler_core::sampler::{Sampler, Scope, Settings, Trace};
use programs::Installed;
use running::{Running, wait_for};

/// With so many, a share of one half is off by 2.5 points once in a million times.
const ENOUGH: u64 = 2_500;
/// What the shares may be off: five points.
const TOLERANCE: f64 = 0.05;
/// The program's work, and the methods in which it is done.
const WORK: [(&str, &str); 3] =
    [("alpha", "Truth.Work.Alpha"), ("beta", "Truth.Work.Beta"), ("gamma", "Truth.Work.Gamma")];
/// `Depth` of the program, and the call that is not deeper.
const DESCENTS: usize = 31;
/// Where threads begin. The framework's methods there call the next one last: what was compiled ahead leaves no frame.
const ROOTS: [&str; 2] = ["System.Threading.Thread.StartCallback", BEGIN];
const BEGIN: &str = "Truth.Program+<Main>c__AnonStorey0.<>m__0";
const SOURCE: &str = "truth.cs";

#[test]
fn methods_that_are_compiled_time_and_again_are_as_they_say() {
    agrees(&Installed::on_9(SOURCE), &[]);
}

#[test]
fn methods_that_are_compiled_once_are_as_they_say() {
    agrees(&Installed::on_9(SOURCE), &[("DOTNET_TieredCompilation", "0")]);
}

/// As they are compiled first, and those of the framework, too; only loops that go on for long are compiled better, while
/// they run.
#[test]
fn methods_that_are_compiled_quickly_are_as_they_say() {
    agrees(&Installed::on_9(SOURCE), &[("DOTNET_TC_CallCounting", "0"), ("DOTNET_ReadyToRun", "0")]);
}

/// Code that is written where it runs: the barriers of the collector are then the runtime's own file's.
#[test]
fn methods_in_memory_that_can_be_written_are_as_they_say() {
    agrees(&Installed::on_9(SOURCE), &[("DOTNET_EnableWriteXorExecute", "0")]);
}

#[test]
fn programs_of_one_file_are_as_they_say() {
    agrees(&Installed::in_one_file_on_10(SOURCE), &[]);
}

fn agrees(program: &Installed, settings: &[(&str, &str)]) {
    println!("{settings:?}");
    let mut command = program.command();
    command.envs(settings.iter().copied());
    let running = Running::start(command);
    let sampler = start(running.pid(), Settings::new);
    // By then the compiler has done most.
    let mut settled = 0;
    wait_for(|| {
        settled += sampler.collect().iter().filter(|trace| has_dotnet(trace)).map(|trace| trace.count).sum::<u64>();
        settled >= ENOUGH / 2
    });
    let mut stacks = Vec::new();
    wait_for(|| {
        let traces = sampler.collect();
        stacks.extend(traces.iter().filter(|trace| is_of_work(trace)).map(|trace| Stack::of(&sampler, trace)));
        count(&stacks, |_| true) >= ENOUGH
    });
    let said = running.ask();

    let all = count(&stacks, |_| true);
    let whole = count(&stacks, Stack::is_whole);
    let others: Vec<&Stack> = stacks.iter().filter(|stack| !stack.is_whole()).take(5).collect();
    println!("{whole} of {all} stacks are whole");
    assert!(whole * 100 >= all * 97, "{settings:?}: {whole} of {all} stacks are whole: {others:#?}");

    let seen: BTreeMap<&String, u64> =
        said.keys().map(|name| (name, count(&stacks, |stack| stack.works_in() == Some(name)))).collect();
    let (all_seen, all_said) = (seen.values().sum::<u64>(), said.values().sum::<u64>());
    assert!(all_seen * 2 > all, "{settings:?}: of {all} samples {all_seen} are of the work");
    for (name, said) in &said {
        let seen = seen.get(name).copied().unwrap_or_default() as f64 / all_seen as f64;
        let said = *said as f64 / all_said as f64;
        println!("{name}: {seen:.3} of the samples, {said:.3} of the work");
        assert!((seen - said).abs() < TOLERANCE, "{settings:?}: {name}: {seen} of the samples, {said} of the work");
    }
    callers_are_in_order(&stacks);
    let mut own = stacks.iter().flat_map(|stack| stack.names.iter().zip(&stack.files));
    let wrong = own.find(|(name, file)| name.starts_with("Truth.") && *file != "azmcp.dll");
    assert_eq!(wrong, None);
}

/// What runs below what: nearly always, for compilers may leave a frame before they call.
fn callers_are_in_order(stacks: &[Stack]) {
    let in_order = |what: &str, is_it: &dyn Fn(&Stack) -> bool, is_in_order: &dyn Fn(&[String]) -> bool| {
        let all = count(stacks, is_it);
        let right = count(stacks, |stack| is_it(stack) && is_in_order(&stack.names));
        let wrong = stacks.iter().find(|stack| is_it(stack) && !is_in_order(&stack.names));
        println!("{what}: {right} of {all} are in order");
        assert!(all > 0 && right * 100 >= all * 97, "{what}: {right} of {all} are in order: {wrong:#?}");
    };
    let alpha =
        [&["Truth.Work.Once", "Truth.Twice.Next", "Truth.Work.Alpha"][..], &["Truth.Program.Descend"; DESCENTS]];
    let alpha = [&alpha.concat()[..], &["Truth.Program.Run"]].concat();
    let is_once = |stack: &Stack| stack.is_whole() && stack.names.first().is_some_and(|name| name == "Truth.Work.Once");
    in_order("alpha", &is_once, &|names| names.iter().zip(&alpha).all(|(name, expected)| name == expected));
    let is = |work: &'static str| move |stack: &Stack| stack.is_whole() && stack.works_in() == Some(work);
    let below = |names: &[String], callers: &[&str]| {
        let mut names = names.iter();
        callers.iter().all(|caller| names.any(|name| name == caller))
    };
    // An iterator is a type that the compiler makes.
    let asks = "Truth.Work+Asks`1+<Numbers>c__Iterator0.MoveNext";
    in_order("beta", &is("beta"), &|names| below(names, &["Truth.Work.Beta", asks, "Truth.Program.Run"]));
    // Most of the sort is inlined.
    let sort = "System.Collections.Generic.ArraySortHelper`1.IntroSort";
    let sort = ["Truth.Work.Gamma", "Truth.Work.Compare", sort, "Truth.Program.Run", BEGIN];
    in_order("gamma", &is("gamma"), &|names| below(names, &sort));
}

/// Half of the methods that are compiled ahead keep no frame pointer, and neither do the collector's barriers.
#[test]
fn methods_that_were_compiled_ahead_are_named_and_their_callers_found() {
    let program = Installed::on_9("framework.cs");
    // They are never compiled again.
    let mut command = program.command();
    command.env("DOTNET_TieredCompilation", "0");
    let running = Running::start(command);
    let sampler = start(running.pid(), Settings::new);
    wait_for(|| sampler.collect().iter().any(has_dotnet));
    let mut stacks = Vec::new();
    wait_for(|| {
        let traces = sampler.collect();
        stacks.extend(traces.iter().filter(|trace| has_dotnet(trace)).map(|trace| Stack::of(&sampler, trace)));
        count(&stacks, |_| true) >= ENOUGH
    });
    let reaches_main = |stack: &Stack| stack.names.last().is_some_and(|name| name == "Framework.Program.Main");
    let is_whole = |stack: &Stack| stack.stop == Stop::Complete && stack.unnamed == 0 && reaches_main(stack);
    let (all, whole) = (count(&stacks, |_| true), count(&stacks, is_whole));
    println!("{whole} of {all} stacks are whole");
    let others: Vec<&Stack> = stacks.iter().filter(|stack| !is_whole(stack)).take(5).collect();
    assert!(whole * 100 >= all * 97, "{whole} of {all} stacks are whole: {others:#?}");
    let sort = ["IntroSort", "IntrospectiveSort", "Sort"]
        .map(|name| format!("System.Collections.Generic.ArraySortHelper`1.{name}"));
    let is_sorting =
        |stack: &Stack| stack.names.ends_with(&[&sort[..], &["Framework.Program.Main".to_owned()]].concat());
    let is_named = |name: &str| stacks.iter().any(|stack| stack.names.iter().any(|found| found == name));
    assert!(stacks.iter().any(is_sorting), "no sort is in order");
    assert!(is_named("System.Collections.Generic.Dictionary`2.TryInsert"));
    assert!(is_named("System.String.SplitInternal"));
}

#[test]
fn what_is_switched_off_is_not_loaded() {
    let program = Installed::on_9(SOURCE);
    let running = Running::start(program.command());
    let none = |scope| Settings { runtimes: Runtimes::NONE, ..Settings::new(scope) };
    let sampler = start(running.pid(), none);
    let is_anonymous = |trace: &Trace| trace.user.iter().any(|frame| frame.kind == FrameKind::Anonymous);
    wait_for(|| sampler.collect().iter().any(|trace| is_anonymous(trace) && !has_dotnet(trace)));
    assert!(sampler.verified_instructions().iter().all(|(program, _)| !program.starts_with("dotnet")));
    assert_eq!(sampler.statistics().kernel.runtime_walks(Unwinder::DOTNET, RuntimeWalk::Entered), 0);
}

fn start(pid: u32, settings: impl FnOnce(Scope) -> Settings) -> Sampler {
    let settings = Settings { sample_rate: 499, ..settings(Scope::Pids(vec![pid])) };
    Sampler::start(&settings).unwrap_or_else(|error| panic!("this test needs root and a kernel with BPF: {error}"))
}

fn has_dotnet(trace: &Trace) -> bool {
    trace.user.iter().any(|frame| frame.kind == FrameKind::DotNet)
}

/// Of the program's own threads: those of the runtime have names.
fn is_of_work(trace: &Trace) -> bool {
    !trace.comm.text().starts_with(".NET") || has_dotnet(trace)
}

/// The methods in a stack, the innermost first.
#[derive(Debug)]
struct Stack {
    names: Vec<String>,
    files: Vec<String>,
    /// Frames of which no name is known.
    unnamed: usize,
    stop: Stop,
    count: u64,
}

impl Stack {
    fn of(sampler: &Sampler, trace: &Trace) -> Self {
        let (names, files) = (Vec::new(), Vec::new());
        let mut stack = Self { names, files, unnamed: 0, stop: trace.stop, count: trace.count };
        for frame in trace.user.iter().filter(|frame| frame.kind == FrameKind::DotNet) {
            let before = stack.names.len();
            sampler.functions(trace.pid, frame, &mut |function| {
                stack.names.push(function.name.to_owned());
                stack.files.push(function.file.to_owned());
            });
            stack.unnamed += usize::from(stack.names.len() == before);
        }
        stack
    }

    /// The innermost method that counts, by what the program calls it.
    fn works_in(&self) -> Option<&'static str> {
        self.names.iter().find_map(|name| WORK.iter().find(|(_, work)| work == name).map(|(said, _)| *said))
    }

    fn is_whole(&self) -> bool {
        self.stop == Stop::Complete
            && self.unnamed == 0
            && self.names.last().is_some_and(|name| ROOTS.contains(&name.as_str()))
    }
}

fn count(stacks: &[Stack], of: impl Fn(&Stack) -> bool) -> u64 {
    stacks.iter().filter(|stack| of(stack)).map(|stack| stack.count).sum()
}
