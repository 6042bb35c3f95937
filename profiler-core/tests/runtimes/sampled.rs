//! A program is sampled until its stacks are many, and then asked what it did.

use std::collections::BTreeMap;
use std::process::Command;

use profiler_core::kernel::{FrameKind, RuntimeWalk, Runtimes, Stop, Unwinder};
use profiler_core::sampler::{Sampler, Scope, Settings, Trace};

use crate::running::{Running, wait_for};

/// With so many, a share of one half is off by 2.5 points once in a million times.
const ENOUGH: u64 = 2_500;
/// What the shares may be off: five points.
const TOLERANCE: f64 = 0.05;

/// What is to be known of a runtime, and of the program in it.
pub(crate) struct Runtime {
    pub(crate) kind: FrameKind,
    pub(crate) unwinder: Unwinder,
    /// How the names of its programs in the kernel begin.
    pub(crate) programs: &'static str,
    /// What the program calls a function whose work it counts.
    pub(crate) work: fn(&Function) -> Option<&'static str>,
    /// A stack is whole that ends so: its functions, the innermost first.
    pub(crate) reaches_root: fn(&[Function]) -> bool,
    /// The threads that do the work.
    pub(crate) is_of_work: fn(&Trace) -> bool,
    /// How many samples pass until its compilers have done most of theirs.
    pub(crate) warm_up: u64,
    /// Runs without its frames may be there: threads that compile, say.
    pub(crate) has_other_threads: bool,
    /// How many of a hundred samples are of the work, at least.
    pub(crate) percent_of_work: u64,
}

/// What the samples of a program said, which agrees with what it said.
pub(crate) struct Sampled {
    runtime: &'static Runtime,
    pub(crate) stacks: Vec<Stack>,
}

/// The functions of the runtime in a stack, the innermost first.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) functions: Vec<Function>,
    /// What the program calls the innermost function whose work it counts.
    pub(crate) works_in: Option<&'static str>,
    pub(crate) is_whole: bool,
    pub(crate) count: u64,
    #[expect(dead_code, reason = "is shown where a stack is not whole")]
    ends: Ends,
}

#[derive(Debug)]
#[expect(dead_code, reason = "is shown where a stack is not whole")]
struct Ends {
    stop: Stop,
    /// Frames of which no name is known.
    unnamed: usize,
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) start_line: u32,
    /// Machine code of other functions than an interpreter's loop is between this one and the one that it called.
    pub(crate) is_below_machine_code: bool,
}

impl Function {
    /// The name behind its last dot.
    pub(crate) fn last(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }
}

impl Runtime {
    /// What the samples of a program said, whose shares are as it says, and whose stacks are whole.
    pub(crate) fn agrees(&'static self, program: Command) -> Sampled {
        let setting = format!("{program:?}");
        let running = Running::start(program);
        let stacks = self.whole_stacks(&setting, &running);
        let said = running.ask();
        let all = count(&stacks, |_| true);

        let seen = said.keys().map(|name| (name, count(&stacks, |stack| stack.works_in == Some(name))));
        let seen: BTreeMap<&String, u64> = seen.collect();
        let (all_seen, all_said) = (seen.values().sum::<u64>(), said.values().sum::<u64>());
        let mut others: Vec<&Stack> = stacks.iter().filter(|stack| stack.works_in.is_none()).collect();
        others.sort_by_key(|stack| std::cmp::Reverse(stack.count));
        others.truncate(3);
        assert!(
            all_seen * 100 > all * self.percent_of_work,
            "{setting}: of {all} samples {all_seen} are of the work, these are not: {others:#?}"
        );
        for (name, seen) in seen {
            let (seen, said) = (seen as f64 / all_seen as f64, said[name] as f64 / all_said as f64);
            println!("{name}: {seen:.3} of the samples, {said:.3} of the work");
            assert!((seen - said).abs() < TOLERANCE, "{setting}: {name}: {seen} of the samples, {said} of the work");
        }
        Sampled { runtime: self, stacks }
    }

    /// Stacks of a program that runs, which are whole.
    pub(crate) fn whole_stacks(&self, setting: &str, running: &Running) -> Vec<Stack> {
        self.whole_stacks_beside(setting, running, || ()).0
    }

    /// The same for as long as something else is done beside, and what came of that.
    pub(crate) fn whole_stacks_beside<T: Send>(
        &self,
        setting: &str,
        running: &Running,
        beside: impl FnOnce() -> T + Send,
    ) -> (Vec<Stack>, T) {
        println!("{setting}");
        let sampler = start(running.pid(), Runtimes::ALL);
        self.wait_until_settled(&sampler);
        let mut stacks = Vec::new();
        let done = std::thread::scope(|scope| {
            let beside = scope.spawn(beside);
            wait_for(|| {
                let traces = sampler.collect();
                let traces = traces.iter().filter(|trace| (self.is_of_work)(trace));
                stacks.extend(traces.map(|trace| self.stack(&sampler, trace)));
                count(&stacks, |_| true) >= ENOUGH && beside.is_finished()
            });
            beside.join().unwrap()
        });
        let all = count(&stacks, |_| true);
        let whole = count(&stacks, |stack| stack.is_whole);
        let others: Vec<&Stack> = stacks.iter().filter(|stack| !stack.is_whole).take(5).collect();
        println!("{whole} of {all} stacks are whole");
        assert!(whole * 100 >= all * 97, "{setting}: {whole} of {all} stacks are whole: {others:#?}");
        (stacks, done)
    }

    fn wait_until_settled(&self, sampler: &Sampler) {
        let mut warmed_up = 0;
        wait_for(|| {
            let mut traces = sampler.collect();
            traces.retain(self.is_of_work);
            let of_runtime = traces.iter().filter(|trace| self.has_frames(trace));
            warmed_up += of_runtime.clone().map(|trace| trace.count).sum::<u64>();
            let all_are_right =
                traces.iter().all(|trace| trace.stop == Stop::Complete) && of_runtime.clone().next().is_some();
            let is_right = all_are_right && (self.has_other_threads || of_runtime.count() == traces.len());
            is_right && warmed_up >= self.warm_up
        });
    }

    pub(crate) fn stack(&self, sampler: &Sampler, trace: &Trace) -> Stack {
        let (mut functions, mut unnamed, mut machine_code) = (Vec::new(), 0, 0);
        for frame in &trace.user {
            if frame.kind != self.kind {
                machine_code += 1;
                continue;
            }
            let before = functions.len();
            sampler.functions(trace.pid, frame, &mut |function| {
                functions.push(Function {
                    name: function.name.to_owned(),
                    file: function.file.to_owned(),
                    line: function.line,
                    start_line: function.start_line,
                    is_below_machine_code: machine_code > 1,
                });
            });
            unnamed += usize::from(functions.len() == before);
            machine_code = 0;
        }
        let is_whole = trace.stop == Stop::Complete && unnamed == 0 && (self.reaches_root)(&functions);
        let works_in = functions.iter().find_map(self.work);
        Stack { functions, works_in, is_whole, count: trace.count, ends: Ends { stop: trace.stop, unnamed } }
    }

    /// Where the runtimes are switched off, nothing of them is loaded, and the program is machine code.
    pub(crate) fn costs_nothing_when_off(&self, program: Command) {
        let running = Running::start(program);
        let sampler = start(running.pid(), Runtimes::NONE);
        let is_walked = |trace: &Trace| (self.is_of_work)(trace) && !trace.user.is_empty() && !self.has_frames(trace);
        wait_for(|| sampler.collect().iter().any(is_walked));
        let loaded = sampler.verified_instructions();
        assert!(loaded.iter().all(|(program, _)| !program.starts_with(self.programs)), "{loaded:?}");
        assert_eq!(sampler.statistics().kernel.runtime_walks(self.unwinder, RuntimeWalk::Entered), 0);
    }

    fn has_frames(&self, trace: &Trace) -> bool {
        trace.user.iter().any(|frame| frame.kind == self.kind)
    }
}

impl Sampled {
    /// The functions that called one that works, the innermost first: in the stack that was most often seen so, since a
    /// function that is on its way in or out has no frame.
    pub(crate) fn callers(&self, of: &str) -> Vec<&Function> {
        let mut counted: BTreeMap<Vec<&str>, (u64, Vec<&Function>)> = BTreeMap::new();
        for stack in self.of(of).filter(|stack| stack.is_whole) {
            let works = |function: &&Function| (self.runtime.work)(function).is_some();
            let callers: Vec<&Function> = stack.functions.iter().skip_while(|one| !works(one)).skip(1).collect();
            let names = callers.iter().map(|function| function.name.as_str()).collect();
            counted.entry(names).or_insert((0, callers)).0 += stack.count;
        }
        counted.into_values().max_by_key(|(count, _)| *count).map(|(_, callers)| callers).unwrap_or_default()
    }

    /// Their names.
    pub(crate) fn names_of_callers(&self, of: &str) -> Vec<&str> {
        self.callers(of).into_iter().map(|function| function.name.as_str()).collect()
    }

    /// Stacks that work in a function.
    pub(crate) fn of(&self, name: &str) -> impl Iterator<Item = &Stack> {
        self.stacks.iter().filter(move |stack| stack.works_in == Some(name))
    }

    /// All functions of all stacks.
    pub(crate) fn functions(&self) -> impl Iterator<Item = (&Function, u64)> {
        self.stacks.iter().flat_map(|stack| stack.functions.iter().map(|function| (function, stack.count)))
    }
}

/// Of so many in a hundred something is true, at least.
pub(crate) fn mostly<'a>(
    percent: u64,
    of: impl Iterator<Item = (&'a Function, u64)>,
    is_true: impl Fn(&Function) -> bool,
) {
    let (mut right, mut all, mut wrong) = (0, 0, None);
    for (function, count) in of {
        all += count;
        if is_true(function) {
            right += count;
        } else {
            wrong = Some(function);
        }
    }
    assert!(all > 0 && right * 100 >= all * percent, "right are {right} of {all}, not this one: {wrong:?}");
}

pub(crate) fn start(pid: u32, runtimes: Runtimes) -> Sampler {
    let settings = Settings { sample_rate: 499, runtimes, ..Settings::new(Scope::Pids(vec![pid])) };
    Sampler::start(&settings).unwrap_or_else(|error| panic!("this test needs root and a kernel with BPF: {error}"))
}

fn count(stacks: &[Stack], of: impl Fn(&Stack) -> bool) -> u64 {
    stacks.iter().filter(|stack| of(stack)).map(|stack| stack.count).sum()
}
