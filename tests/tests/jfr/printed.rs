//! What `jfr print` says of a recording, added up.

use serde_json::Value;

use super::Profiles;
use super::jvm::Recording;

/// Nanoseconds that the recording was started with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Periods {
    pub(crate) cpu: i64,
    pub(crate) wall: i64,
}

const EVENTS: [&str; 9] = [
    "jdk.ExecutionSample",
    "profiler.WallClockSample",
    "jdk.ObjectAllocationInNewTLAB",
    "jdk.ObjectAllocationOutsideTLAB",
    "jdk.ObjectAllocationSample",
    "profiler.LiveObject",
    "profiler.Malloc",
    "jdk.JavaMonitorEnter",
    "jdk.ThreadPark",
];

pub(crate) fn read(recording: &Recording, periods: Periods) -> Profiles {
    let printed: Value = serde_json::from_str(&recording.print(&EVENTS)).unwrap();
    let mut profiles = Profiles::new();
    for event in printed["recording"]["events"].as_array().unwrap() {
        let values = &event["values"];
        // Of some the JVM knows no stack.
        let Some(stack) = stack(&values["stackTrace"]) else { continue };
        for (kind, [count, amount]) in samples(event["type"].as_str().unwrap(), values, periods) {
            let sum = profiles.entry(kind.to_owned()).or_default().entry(stack.clone()).or_default();
            *sum = [sum[0] + count, sum[1] + amount];
        }
    }
    profiles
}

fn samples(event: &str, values: &Value, periods: Periods) -> Vec<(&'static str, [i64; 2])> {
    let number = |name: &str| values[name].as_i64().unwrap_or_else(|| panic!("{event} has no {name}: {values}"));
    let nanos = || nanos(values["duration"].as_str().unwrap());
    let state = values["state"].as_str();
    match event {
        "jdk.ExecutionSample" if state == Some("STATE_SLEEPING") => vec![],
        "jdk.ExecutionSample" => vec![("cpu", [periods.cpu, 0])],
        "profiler.WallClockSample" => {
            let value = [number("samples") * periods.wall, 0];
            // Else time on the CPU has samples of its own.
            let alone = periods.cpu == periods.wall && state == Some("STATE_RUNNABLE");
            if alone { vec![("wall", value), ("cpu", value)] } else { vec![("wall", value)] }
        }
        "jdk.ObjectAllocationInNewTLAB" => vec![("alloc_in_new_tlab", [1, number("tlabSize")])],
        "jdk.ObjectAllocationOutsideTLAB" => vec![("alloc_outside_tlab", [1, number("allocationSize")])],
        "jdk.ObjectAllocationSample" => vec![("alloc_sample", [1, number("weight")])],
        "profiler.LiveObject" => vec![("live", [1, 0])],
        "profiler.Malloc" => vec![("malloc", [1, number("size")])],
        "jdk.JavaMonitorEnter" => vec![("mutex", [1, nanos()])],
        "jdk.ThreadPark" => vec![("block", [1, nanos()])],
        _ => panic!("{event}"),
    }
}

fn stack(trace: &Value) -> Option<Vec<String>> {
    let mut stack: Vec<String> = trace["frames"].as_array()?.iter().map(frame).collect();
    if trace["truncated"] == true {
        stack.push("[truncated]:0".to_owned());
    }
    Some(stack)
}

fn frame(frame: &Value) -> String {
    let (class, method) = (&frame["method"]["type"]["name"], &frame["method"]["name"]);
    let name = match class.as_str().unwrap() {
        "" => method.as_str().unwrap().to_owned(),
        class => format!("{}.{}", without_numbers(class), method.as_str().unwrap()),
    };
    format!("{name}:{}", frame["lineNumber"].as_i64().unwrap().max(0))
}

/// The classes that this JVM made while it ran.
fn without_numbers(class: &str) -> String {
    if let Some((before, _)) = class.split_once("$$Lambda") {
        return format!("{before}$$Lambda_");
    }
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|char| char.is_ascii_digit());
    if let Some((before, _)) = class.split_once("$Proxy").filter(|(_, number)| is_number(number)) {
        let package = before.replace(|char: char| char.is_ascii_digit(), "_");
        return format!("{package}$Proxy_");
    }
    match class.split_once("0x") {
        Some((before, _)) => format!("{}_", before.trim_end_matches(['.', '/', '+'])),
        None => class.to_owned(),
    }
}

/// Of a time such as `PT0.012345678S`: none is a minute long.
fn nanos(text: &str) -> i64 {
    let seconds = text.strip_prefix("PT").and_then(|text| text.strip_suffix('S'));
    let (seconds, fraction) = seconds.map(|text| text.split_once('.').unwrap_or((text, ""))).unwrap();
    format!("{seconds}{fraction:0<9}").parse().unwrap_or_else(|_| panic!("{text}"))
}
