//! async-profiler, which HotSpot's own threads run in handlers of signals.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use super::super::hotspot::{HOTSPOT, classes, javas};
use super::super::sampled::Function;
use super::super::source::tool;
use super::{ENOUGH, Recorded, Stacks, agree};
use crate::running::Running;

const RECORDING: Duration = Duration::from_secs(2);
/// What async-profiler marks methods with: interpreted, of the first compiler, of the second, and inlined. Nothing else
/// has a mark.
const METHODS: [&str; 4] = ["_[0]", "_[1]", "_[j]", "_[i]"];

#[test]
#[ignore = "`cargo xtask soak oracles` runs it, with nothing beside it"]
fn async_profiler_says_the_same() {
    for java in &javas() {
        let setting = java.display().to_string();
        let mut command = Command::new(java);
        command.args(["-Xmx64m", "-cp"]).arg(classes()).arg("Ways");
        let running = Running::start(command);
        let (ours, theirs) = HOTSPOT.whole_stacks_beside(&setting, &running, || async_profiler(running.pid()));
        agree(&setting, &Stacks::sampled(&ours, form), &theirs);
    }
}

/// Stubs are no methods.
fn form(function: &Function) -> Option<String> {
    let (class, method) = function.name.rsplit_once('.')?;
    Some(format!("{}.{method}", class.trim_end_matches('_')))
}

fn async_profiler(pid: u32) -> Recorded {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("async-profiler-{pid}"));
    let stop = format!("stop,collapsed,ann,dot,norm,file={}", file.display());
    let mut stacks = Stacks::default();
    while stacks.total() < ENOUGH {
        tell_agent(pid, "start,event=itimer,interval=1ms");
        thread::sleep(RECORDING);
        tell_agent(pid, &stop);
        stacks.add_folded(&std::fs::read_to_string(&file).unwrap(), form_of);
    }
    Recorded::independent(stacks)
}

/// Without the numbers of classes that the JVM makes while it runs, which ours leaves out as well.
fn form_of(frame: &str) -> Option<String> {
    let name = METHODS.iter().find_map(|mark| frame.strip_suffix(mark))?;
    let (class, method) = name.rsplit_once('.')?;
    let is_made = ["$$Lambda$", "MethodAccessor"].iter().any(|made| class.contains(made));
    let made = class.trim_end_matches(|char: char| char.is_ascii_digit()).trim_end_matches('$');
    Some(format!("{}.{method}", if is_made { made } else { class }))
}

fn tell_agent(pid: u32, options: &str) {
    let mut command = Command::new("jcmd");
    command.args([&pid.to_string(), "JVMTI.agent_load"]).arg(tool("async-profiler/linux-x64/libasyncProfiler.so"));
    // In quotes, or else it would look for options of its own.
    let output = command.arg(format!("\"{options}\"")).output();
    let output = output.unwrap_or_else(|error| panic!("this test needs a JDK: {error}"));
    assert!(
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("return code: 0"),
        "{output:?}"
    );
}
