//! `node --cpu-prof`: V8 interrupts its own thread.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use nix::time::{ClockId, clock_gettime};
use serde_json::Value;

use super::super::node::NODE;
use super::super::sampled::Function;
use super::super::source::{path, versions};
use super::{Stacks, agree};
use crate::running::Running;

/// What V8 says where no function runs that it knows.
const NO_FUNCTIONS: [&str; 4] = ["(root)", "(program)", "(idle)", "(garbage collector)"];
/// Of this generator it says no more once it has compiled it, whatever it has inlined. All that the generator does is to
/// call `work`, as often as others do, and others have no time but in `work`.
const SAID_FOR_WORK: &str = "(anonymous) ways.js:46:21";

#[test]
fn v8_says_the_same_of_itself() {
    for node in versions("/usr/bin/node", "FLAMEGATE_NODES") {
        let setting = node.display().to_string();
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ways.cpuprofile");
        let mut command = Command::new(&node);
        command.args(["--cpu-prof", "--cpu-prof-name=ways.cpuprofile"]);
        command.arg(format!("--cpu-prof-dir={}", env!("CARGO_TARGET_TMPDIR"))).arg(path("node/ways.js"));
        let running = Running::start(command);
        let (ours, began) = NODE.whole_stacks_beside(&setting, &running, now);
        let ended = now();
        running.end();
        let profile = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        agree(&setting, &Stacks::sampled(&ours, form), &said(&profile, began..ended));
    }
}

/// Nothing built in has a place, such as `Array.map`; the profiler of V8 leaves it out.
fn form(function: &Function) -> Option<String> {
    (function.start_line > 0).then(|| format!("{} ({}:{})", function.name, function.file, function.start_line))
}

/// What V8 said between two times.
fn said(profile: &Value, between: Range<i64>) -> Stacks {
    let mut callers = HashMap::new();
    let mut forms = HashMap::new();
    for node in profile["nodes"].as_array().unwrap() {
        let id = &node["id"];
        forms.insert(id, form_of(&node["callFrame"]));
        callers.extend(node["children"].as_array().into_iter().flatten().map(|child| (child, id)));
    }
    let work = forms.values().flatten().find(|form| form.starts_with("work ")).unwrap();
    let mut stacks = Stacks::default();
    let mut time = profile["startTime"].as_i64().unwrap();
    let samples = profile["samples"].as_array().unwrap();
    for (sample, passed) in samples.iter().zip(profile["timeDeltas"].as_array().unwrap()) {
        time += passed.as_i64().unwrap();
        if between.contains(&time) {
            let nodes = std::iter::successors(Some(sample), |node| callers.get(node).copied());
            let mut stack: Vec<String> = nodes.filter_map(|node| forms[node].clone()).collect();
            if stack.first().is_some_and(|innermost| innermost.starts_with(SAID_FOR_WORK)) {
                stack.insert(0, work.clone());
            }
            stack.reverse();
            stacks.add(stack, 1);
        }
    }
    stacks
}

fn form_of(frame: &Value) -> Option<String> {
    let name = frame["functionName"].as_str().unwrap();
    if NO_FUNCTIONS.contains(&name) {
        return None;
    }
    let url = frame["url"].as_str().unwrap();
    let file = url.strip_prefix("file://").unwrap_or(url);
    // Counted from 0.
    let [line, column] = ["lineNumber", "columnNumber"].map(|number| frame[number].as_i64().unwrap() + 1);
    if line == 0 {
        return None;
    }
    if name.is_empty() {
        let last = file.rsplit('/').next().unwrap_or_default();
        return Some(format!("(anonymous) {last}:{line}:{column} ({file}:{line})"));
    }
    Some(format!("{name} ({file}:{line})"))
}

/// In microseconds, by the clock that V8 reads.
fn now() -> i64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000
}
