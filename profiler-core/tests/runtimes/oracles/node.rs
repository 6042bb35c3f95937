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
use super::{Recorded, Stacks, agree};
use crate::running::Running;

/// What V8 says where no function runs that it knows.
const NO_FUNCTIONS: [&str; 4] = ["(root)", "(program)", "(idle)", "(garbage collector)"];
/// Of these it says no more at times once they are compiled, whatever is inlined in them. All that the generator and the
/// constructor of a derived class do is to call what calls `work`, and no way has time of its own but in `work`.
const SAID_FOR_WORK: [(&str, &[&str]); 2] = [("(anonymous) ways.js:46:21", &["work"]), ("Derived", &["Base", "work"])];

#[test]
#[ignore = "`cargo xtask soak oracles` runs it, with nothing beside it"]
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
        agree(&setting, &Stacks::sampled(&ours, form), &Recorded::independent(said(&profile, began..ended)));
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
    let called = |name: &str| forms.values().flatten().find(|form| form.starts_with(&format!("{name} ("))).unwrap();
    let mut stacks = Stacks::default();
    let mut time = profile["startTime"].as_i64().unwrap();
    let samples = profile["samples"].as_array().unwrap();
    for (sample, passed) in samples.iter().zip(profile["timeDeltas"].as_array().unwrap()) {
        time += passed.as_i64().unwrap();
        if between.contains(&time) {
            let nodes = std::iter::successors(Some(sample), |node| callers.get(node).copied());
            let mut stack: Vec<String> = nodes.filter_map(|node| forms[node].clone()).collect();
            stack.reverse();
            let is_innermost = |name: &str| stack.last().is_some_and(|form| form.starts_with(&format!("{name} (")));
            let unsaid =
                SAID_FOR_WORK.iter().find(|(name, _)| is_innermost(name)).map_or(&[][..], |(_, unsaid)| unsaid);
            stack.extend(unsaid.iter().map(|name| called(name).clone()));
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
