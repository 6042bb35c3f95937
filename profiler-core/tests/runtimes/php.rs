//! PHP: methods, a function without a name, one that sorting calls, and what opcache makes of them.

use std::path::Path;
use std::process::Command;

use profiler_core::kernel::{FrameKind, Runtimes, Unwinder};

use super::fpm::Pool;
use super::sampled::{Function, Runtime, Sampled, Stack, mostly, start};
use super::source::{Source, path, versions};
use crate::running::wait_for;

const SYSTEM: &str = "/usr/bin/php8.2";
const SERVER: &str = "/usr/sbin/php-fpm8.2";
const SOURCE: &str = "php/truth.php";
const ROOT: &str = "{main}";
/// `DEPTH` of the program, and the call that is not deeper.
const DESCENTS: usize = 31;

static PHP: Runtime = Runtime {
    kind: FrameKind::Php,
    unwinder: Unwinder::PHP,
    programs: "php",
    work: |function| match function.name.as_str() {
        r"Work\alpha" => Some("alpha"),
        r"Work\Descent::gamma" => Some("gamma"),
        // Behind it is the place of what has no name.
        name => name.starts_with("{closure:").then_some("beta"),
    },
    reaches_root: |functions| functions.last().is_some_and(|function| function.name == ROOT),
    is_of_work: |_| true,
    warm_up: 0,
    has_other_threads: false,
    percent_of_work: 50,
};

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

#[test]
fn php_that_is_switched_off_costs_nothing() {
    PHP.costs_nothing_when_off(counting(Path::new(SYSTEM), Engine::Interpreter));
}

/// The process is found before it has a script, and each request has frames of its own.
#[test]
fn php_that_serves_is_known_from_its_first_request_on() {
    let compiled = ["opcache.enable=1", "opcache.jit_buffer_size=16M", "opcache.jit=tracing"];
    for options in [&["opcache.enable=0"][..], &compiled] {
        let pool = Pool::start(SERVER, options);
        let sampler = start(pool.worker().unwrap(), Runtimes::ALL);
        for name in ["first", "second"] {
            let request = pool.ask(name);
            let is_served = |stack: &Stack| {
                let names: Vec<&str> = stack.functions.iter().map(|function| function.name.as_str()).collect();
                stack.is_whole && names == [r"Shop\Cart::total", ROOT]
            };
            wait_for(|| {
                let stacks: Vec<Stack> = sampler.collect().iter().map(|trace| PHP.stack(&sampler, trace)).collect();
                let count = |of: &dyn Fn(&Stack) -> bool| -> u64 {
                    stacks.iter().filter(|stack| of(stack)).map(|stack| stack.count).sum()
                };
                count(&is_served) > 20 && count(&is_served) * 2 > count(&|_| true)
            });
            request.end();
        }
    }
}

fn each(engine: Engine) {
    for php in versions(SYSTEM, "FLAMEGATE_PHPS").into_iter().filter(|php| has(php, engine)) {
        let sampled = PHP.agrees(counting(&php, engine));
        callers_are_in_order(&sampled);
        lines_are_those_of_the_source(&sampled, engine);
    }
}

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

/// What runs below what, through machine code and without.
fn callers_are_in_order(sampled: &Sampled) {
    let descents = [r"Work\Descent::descend"; DESCENTS];
    let begin = [r"Work\Descent::begin", r"Work\run", ROOT];
    assert_eq!(sampled.names_of_callers("alpha"), [&descents[..], &begin].concat());
    assert_eq!(sampled.names_of_callers("beta"), [r"Work\asks", r"Work\run", ROOT]);
    assert_eq!(sampled.names_of_callers("gamma"), ["usort", r"Work\run", ROOT]);
    let of_gamma = sampled.callers("gamma");
    assert!(of_gamma.first().is_some_and(|sort| sort.is_below_machine_code), "the sort is not between: {of_gamma:?}");
}

fn lines_are_those_of_the_source(sampled: &Sampled, engine: Engine) {
    let source = Source::of(SOURCE);
    let of_work = ["clock()", "$value = ", "for (", "65521", "return", "function"];
    for (function, _) in sampled.functions() {
        // Where it begins.
        let expected: (&str, &[&str]) = match function.name.as_str() {
            r"Work\alpha" => ("function alpha", &of_work),
            r"Work\Descent::gamma" => ("function gamma", &of_work),
            r"Work\Descent::descend" => ("function descend", &["$this->descend($depth - 1)"]),
            r"Work\asks" => ("function asks", &["(Took::$beta)"]),
            ROOT => ("<?php", &["run()", "while (", "$time", "foreach", "echo"]),
            name if name.starts_with("{closure:") => {
                assert!(name.ends_with(&format!("truth.php:{}}}", function.start_line)), "{name}");
                ("function (int $value)", &of_work)
            }
            _ => continue,
        };
        assert!(function.file.ends_with("truth.php"), "{function:?}");
        assert!(source.has(function.start_line, &[expected.0]), "{function:?}");
        let is_its = source.has(function.line, expected.1) || source.has(function.line, &[expected.0]);
        assert!(is_its, "{function:?}: {}", source.line(function.line));
    }
    // What is compiled writes down where it is only where it calls C.
    if !matches!(engine, Engine::Compiled(_)) {
        let is_alpha = |(function, _): &(&Function, u64)| function.name == r"Work\alpha";
        mostly(90, sampled.functions().filter(is_alpha), |function| source.has(function.line, &["for (", "65521"]));
    }
}

fn counting(php: &Path, engine: Engine) -> Command {
    let mut command = Command::new(php);
    command.args(options(engine)).arg(path(SOURCE));
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
