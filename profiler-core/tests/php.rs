//! Programs of PHP that measure their own work: what the samples say of them is what they say of themselves, in stacks
//! that reach the root, with the lines of their source.
//!
//! Needs root (or the capabilities that the sampler names) and php, which the test command installs. Other versions are
//! tested where `FLAMEGATE_PHPS` names their programs, with colons between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test's own functions cannot do fails the test")]

#[path = "php/fpm.rs"]
mod fpm;
#[path = "truth/running.rs"]
mod running;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use fpm::Pool;
use profiler_core::kernel::{FrameKind, RuntimeWalk, Stop, Unwinder};
use profiler_core::sampler::{Sampler, Scope, Settings, Trace};
use running::{Running, wait_for};

/// With so many, a share of one half is off by 2.5 points once in a million times.
const ENOUGH: u64 = 2_500;
/// What the shares may be off: five points.
const TOLERANCE: f64 = 0.05;
/// `DEPTH` of the program, and the call that is not deeper.
const DESCENTS: usize = 31;
/// The program's work, as PHP names it, up to the place of what has no name.
const WORK: [(&str, &str); 3] = [("alpha", r"Work\alpha"), ("beta", "{closure:"), ("gamma", r"Work\Descent::gamma")];
const ROOT: &str = "{main}";

/// What runs the program's instructions.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Engine {
    Interpreter,
    /// Functions lie in memory that processes share.
    Cached,
    /// Machine code, of those instructions that ran often, or of whole functions.
    Compiled(&'static str),
}

#[test]
fn php_is_as_it_says() {
    each(Engine::Interpreter);
}

#[test]
fn php_whose_functions_are_shared_is_as_it_says() {
    each(Engine::Cached);
}

#[test]
fn php_of_which_traces_are_compiled_is_as_it_says() {
    each(Engine::Compiled("tracing"));
}

#[test]
fn php_of_which_functions_are_compiled_is_as_it_says() {
    each(Engine::Compiled("function"));
}

fn each(engine: Engine) {
    for php in phps().into_iter().filter(|php| has(php, engine)) {
        println!("{} {engine:?}", php.display());
        agrees(counting(&php, engine), engine);
    }
}

/// That of the system, and those that are named.
fn phps() -> Vec<PathBuf> {
    let named = std::env::var_os("FLAMEGATE_PHPS").unwrap_or_default();
    [SYSTEM.into()].into_iter().chain(std::env::split_paths(&named).filter(|path| path.is_absolute())).collect()
}

const SYSTEM: &str = "/usr/bin/php8.2";
const SERVER: &str = "/usr/sbin/php-fpm8.2";

/// 7.4 has no compiler; all others must have it, and use it.
fn has(php: &Path, engine: Engine) -> bool {
    let says = |code: &str| {
        let output = Command::new(php).args(options(engine)).args(["-r", code]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let is_compiled = matches!(engine, Engine::Compiled(_));
    if is_compiled && says("echo PHP_MAJOR_VERSION;") == "7" {
        return false;
    }
    let compiles = "echo opcache_get_status()['jit']['on'] ?? false;";
    assert_eq!(says(compiles) == "1", is_compiled, "{}: {engine:?}", php.display());
    true
}

fn agrees(program: Command, engine: Engine) {
    let running = Running::start(program);
    let sampler = start(running.pid(), Settings::new);
    let settled = |stacks: &[Trace]| {
        !stacks.is_empty() && stacks.iter().all(|trace| trace.stop == Stop::Complete && has_php(trace))
    };
    wait_for(|| settled(&sampler.collect()));
    let mut stacks = Vec::new();
    wait_for(|| {
        stacks.extend(sampler.collect().into_iter().map(|trace| Stack::of(&sampler, &trace)));
        count(&stacks, |_| true) >= ENOUGH
    });
    let said = running.ask();

    let all = count(&stacks, |_| true);
    let whole = count(&stacks, Stack::is_whole);
    let other = stacks.iter().find(|stack| !stack.is_whole());
    assert!(whole * 100 >= all * 97, "{whole} of {all} stacks are whole: {other:#?}");

    let seen: BTreeMap<&String, u64> =
        said.keys().map(|name| (name, count(&stacks, |stack| stack.works_in() == Some(name)))).collect();
    let (all_seen, all_said) = (seen.values().sum::<u64>(), said.values().sum::<u64>());
    assert!(all_seen * 2 > all, "of {all} samples {all_seen} are of the work");
    for (name, said) in &said {
        let seen = seen.get(name).copied().unwrap_or_default() as f64 / all_seen as f64;
        let said = *said as f64 / all_said as f64;
        assert!((seen - said).abs() < TOLERANCE, "{name}: {seen} of the samples, {said} of the work");
    }
    callers_are_in_order(&stacks);
    lines_are_those_of_the_source(&stacks, engine);
}

/// What runs below what, through machine code and without.
fn callers_are_in_order(stacks: &[Stack]) {
    let callers = |of: &str| -> Vec<&str> {
        let stack = stacks.iter().find(|stack| stack.is_whole() && stack.works_in() == Some(of)).unwrap();
        let own = |name: &str| WORK.iter().any(|(_, work)| name.starts_with(work));
        stack.functions.iter().map(|function| function.name.as_str()).skip_while(|name| !own(name)).skip(1).collect()
    };
    let descents = [r"Work\Descent::descend"; DESCENTS];
    assert_eq!(callers("alpha"), [&descents[..], &[r"Work\Descent::begin", r"Work\run", ROOT]].concat());
    assert_eq!(callers("beta"), [r"Work\asks", r"Work\run", ROOT]);
    assert_eq!(callers("gamma"), ["usort", r"Work\run", ROOT]);
    let of_gamma = stacks.iter().find(|stack| stack.is_whole() && stack.works_in() == Some("gamma")).unwrap();
    let sort = of_gamma.functions.iter().find(|function| function.name == "usort");
    assert!(sort.is_some_and(|sort| sort.is_below_machine_code), "the sort's own code is not between: {of_gamma:?}");
}

fn lines_are_those_of_the_source(stacks: &[Stack], engine: Engine) {
    let source = std::fs::read_to_string(source()).unwrap();
    let lines: Vec<&str> = source.lines().collect();
    let text = |line: u32| lines.get((line as usize).wrapping_sub(1)).copied().unwrap_or_default();
    let of_work = ["clock()", "$value = ", "for (", "65521", "return", "function"];
    for function in stacks.iter().flat_map(|stack| &stack.functions) {
        // Where it begins.
        let expected: (&str, &[&str]) = match function.name.as_str() {
            r"Work\alpha" => ("function alpha", &of_work),
            r"Work\Descent::gamma" => ("function gamma", &of_work),
            r"Work\Descent::descend" => ("function descend", &["$this->descend($depth - 1)"]),
            r"Work\asks" => ("function asks", &["(Took::$beta)"]),
            ROOT => ("", &["<?php", "run()", "while (", "$time", "foreach", "echo"]),
            name if name.starts_with("{closure:") => {
                assert!(name.ends_with(&format!(":{}}}", function.start_line)), "{name}");
                ("function (int $value)", &of_work)
            }
            _ => continue,
        };
        assert!(function.file.ends_with("truth.php"), "{function:?}");
        let at = text(function.line);
        assert!(function.name == ROOT || text(function.start_line).contains(expected.0), "{function:?}");
        let is_its = expected.1.iter().chain([&expected.0]).any(|part| !part.is_empty() && at.contains(part));
        assert!(is_its, "{function:?}: {at}");
    }
    // What is compiled writes down where it is only where it calls C.
    if matches!(engine, Engine::Compiled(_)) {
        return;
    }
    let in_loops = stacks.iter().filter(|stack| stack.works_in() == Some("alpha"));
    let in_loops = in_loops.filter_map(|stack| stack.functions.iter().find(|function| function.name == r"Work\alpha"));
    let is_work = |function: &&Function| ["for (", "65521"].iter().any(|part| text(function.line).contains(part));
    let (work, all) = (in_loops.clone().filter(is_work).count(), in_loops.count());
    assert!(work * 10 > all * 9, "of {all} in alpha {work} are in its loop");
}

/// The process is found before it has a script, and each request has frames of its own.
#[test]
fn php_that_serves_is_known_from_its_first_request_on() {
    for options in
        [&["opcache.enable=0"][..], &["opcache.enable=1", "opcache.jit_buffer_size=16M", "opcache.jit=tracing"]]
    {
        let pool = Pool::start(SERVER, options);
        let sampler = start(pool.worker().unwrap(), Settings::new);
        for name in ["first", "second"] {
            let request = pool.ask(name);
            let is_served = |stack: &Stack| {
                let names: Vec<&str> = stack.functions.iter().map(|function| function.name.as_str()).collect();
                stack.is_whole() && names == [r"Shop\Cart::total", ROOT]
            };
            wait_for(|| {
                let stacks = sampler.collect();
                let stacks: Vec<Stack> = stacks.iter().map(|trace| Stack::of(&sampler, trace)).collect();
                count(&stacks, is_served) > 20 && count(&stacks, is_served) * 2 > count(&stacks, |_| true)
            });
            request.end();
        }
    }
}

#[test]
fn what_is_switched_off_is_not_loaded() {
    let running = Running::start(counting(Path::new(SYSTEM), Engine::Interpreter));
    let none = |scope| Settings { runtimes: profiler_core::kernel::Runtimes::NONE, ..Settings::new(scope) };
    let sampler = start(running.pid(), none);
    let has_machine_code = |trace: &Trace| trace.stop == Stop::Complete && !has_php(trace);
    wait_for(|| sampler.collect().iter().any(has_machine_code));
    assert!(sampler.verified_instructions().iter().all(|(program, _)| !program.starts_with("php")));
    assert_eq!(sampler.statistics().kernel.runtime_walks(Unwinder::PHP, RuntimeWalk::Entered), 0);
}

fn start(pid: u32, settings: impl FnOnce(Scope) -> Settings) -> Sampler {
    let settings = Settings { sample_rate: 499, ..settings(Scope::Pids(vec![pid])) };
    Sampler::start(&settings).unwrap_or_else(|error| panic!("this test needs root and a kernel with BPF: {error}"))
}

fn has_php(trace: &Trace) -> bool {
    trace.user.iter().any(|frame| frame.kind == FrameKind::Php)
}

/// The functions of PHP in a stack, the innermost first.
#[derive(Debug)]
struct Stack {
    functions: Vec<Function>,
    /// Frames of which no name is known.
    unnamed: usize,
    stop: Stop,
    count: u64,
}

#[derive(Debug)]
struct Function {
    name: String,
    file: String,
    line: u32,
    start_line: u32,
    /// Machine code of other functions than the loop's own is between this one and the one that it called.
    is_below_machine_code: bool,
}

impl Stack {
    fn of(sampler: &Sampler, trace: &Trace) -> Self {
        let mut stack = Self { functions: Vec::new(), unnamed: 0, stop: trace.stop, count: trace.count };
        let mut machine_code = 0;
        for frame in &trace.user {
            if frame.kind != FrameKind::Php {
                machine_code += 1;
                continue;
            }
            let before = stack.functions.len();
            sampler.functions(trace.pid, frame, &mut |function| {
                stack.functions.push(Function {
                    name: function.name.to_owned(),
                    file: function.file.to_owned(),
                    line: function.line,
                    start_line: function.start_line,
                    is_below_machine_code: machine_code > 1,
                });
            });
            machine_code = 0;
            stack.unnamed += usize::from(stack.functions.len() == before);
        }
        stack
    }

    /// The innermost function that counts, by what the program calls it.
    fn works_in(&self) -> Option<&'static str> {
        self.functions
            .iter()
            .find_map(|function| WORK.iter().find(|(_, name)| function.name.starts_with(name)).map(|(said, _)| *said))
    }

    fn is_whole(&self) -> bool {
        let is_root = |function: &Function| function.name == ROOT;
        self.stop == Stop::Complete && self.unnamed == 0 && self.functions.last().is_some_and(is_root)
    }
}

fn count(stacks: &[Stack], of: impl Fn(&Stack) -> bool) -> u64 {
    stacks.iter().filter(|stack| of(stack)).map(|stack| stack.count).sum()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/php/truth.php")
}

fn counting(php: &Path, engine: Engine) -> Command {
    let mut command = Command::new(php);
    command.args(options(engine)).arg(source());
    command
}

fn options(engine: Engine) -> Vec<String> {
    let settings = match engine {
        Engine::Interpreter => vec!["opcache.enable_cli=0".to_owned()],
        Engine::Cached => vec!["opcache.enable_cli=1".to_owned(), "opcache.jit=disable".to_owned()],
        Engine::Compiled(how) => vec![
            "opcache.enable_cli=1".to_owned(),
            "opcache.jit_buffer_size=16M".to_owned(),
            format!("opcache.jit={how}"),
        ],
    };
    settings.into_iter().flat_map(|setting| ["-d".to_owned(), setting]).collect()
}
