//! Node.js: what each of V8's compilers makes of a program, with the functions that they inlined.

use std::path::Path;
use std::process::Command;

use profiler_core::kernel::{FrameKind, Unwinder};

use super::sampled::{Function, Runtime, Sampled, mostly};
use super::source::{Source, path, versions};

const SOURCE: &str = "node/truth.js";

pub(super) static NODE: Runtime = Runtime {
    kind: FrameKind::V8,
    unwinder: Unwinder::V8,
    programs: "v8",
    work: |function| ["alpha", "beta", "gamma"].into_iter().find(|name| function.name == *name),
    // Threads that compile or collect garbage have no frames of V8.
    reaches_root: |_| true,
    is_of_work: |_| true,
    warm_up: 0,
    has_other_threads: true,
    percent_of_work: 90,
};

#[test]
fn node_is_as_it_says() {
    for node in versions("/usr/bin/node", "FLAMEGATE_NODES") {
        // Each compiler by itself, and all of them in their turn.
        for options in [&[][..], &["--no-opt"], &["--no-opt", "--no-sparkplug"], &["--always-sparkplug"]] {
            let sampled = NODE.agrees(counting(&node, options));
            callers_are_in_order(&sampled);
            lines_are_those_of_the_source(&sampled);
        }
    }
}

#[test]
fn node_that_is_switched_off_costs_nothing() {
    NODE.costs_nothing_when_off(counting(Path::new("/usr/bin/node"), &[]));
}

/// What runs below what, whether it was inlined or not, and through what is built in.
fn callers_are_in_order(sampled: &Sampled) {
    let of_alpha = sampled.names_of_callers("alpha");
    assert_eq!(of_alpha.first(), Some(&"inlining"));
    let descents = of_alpha.iter().skip(1).take_while(|name| **name == "descend").count();
    assert_eq!(descents, 21, "{of_alpha:?}");
    assert_eq!(of_alpha.get(22..24), Some(&["run", "again"][..]), "{of_alpha:?}");
    let of_gamma = sampled.names_of_callers("gamma");
    assert_eq!(of_gamma.get(1..4), Some(&["sort", "run", "again"][..]), "{of_gamma:?}");
    assert!(of_gamma.first().is_some_and(|name| name.starts_with("(anonymous) truth.js:60:")), "{of_gamma:?}");
}

fn lines_are_those_of_the_source(sampled: &Sampled) {
    let source = Source::of(SOURCE);
    for (function, _) in sampled.functions().filter(|(function, _)| function.file.ends_with("/truth.js")) {
        let begins = [format!("{}(", function.name), format!("{} =", function.name)];
        let is_named = source.has(function.start_line, &begins.each_ref().map(String::as_str));
        assert!(is_named || function.name.starts_with("(anonymous)"), "{function:?}");
        assert!(function.name != "descend" || source.has(function.line, &["descend"]), "{function:?}");
    }
    let in_alpha = |(function, _): &(&Function, u64)| function.name == "alpha";
    // What is interpreted says where it called last.
    let in_loop = |function: &Function| source.has(function.line, &["ROUNDS.alpha", "65521"]);
    mostly(80, sampled.functions().filter(in_alpha), in_loop);
}

fn counting(node: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(node);
    command.args(options).arg(path(SOURCE));
    command
}
