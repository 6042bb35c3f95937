//! Node.js, stopped where its stack is known: the kernel's code finds the functions that are on it, and whatever their
//! memory becomes, it ends, and so does who reads their names.

use std::path::{Path, PathBuf};
use std::process::Command;

use profiler_core::kernel::FrameKind;
use profiler_core::runtime::ReadMemory;

use super::replay::ORIGINS;
use super::stopped::Stopped;

#[test]
fn frames_of_v8_lie_where_they_belong() {
    let source = std::fs::read_to_string(source()).expect("the program");
    for node in nodes() {
        // All that the interpreter runs, and all that the first compiler makes of it.
        for options in [&["--no-sparkplug"][..], &["--always-sparkplug"]] {
            let stopped = stopped_in(&node, options);
            let (replay, instance) = stopped.replay();
            for origin in ORIGINS {
                let walked =
                    replay.walk_asking(origin, stopped.program.registers(), |address| stopped.memory.word(address));
                assert_eq!(walked.stop, 0, "{}: {:?}", node.display(), stopped.memory.places(&walked.frames));
                let mut functions = stopped.functions(&instance, &stopped.live(), &walked.of_runtimes);
                functions.retain(|function| function.file.ends_with("/stopped.js"));
                let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
                let expected = [&["stopHere", "sort", "generate", "consume"], &["descend"; 6][..]].concat();
                assert_eq!(names.get(..10), Some(&expected[..]), "{} {options:?}", node.display());
                assert!(names[10].starts_with("(anonymous) stopped.js:1:"), "{names:?}");
                for function in functions {
                    let text = source.lines().nth(function.line as usize - 1).unwrap_or_default();
                    let call = match function.name.as_str() {
                        "stopHere" => "process.kill(",
                        "sort" => "[2, 1].sort(",
                        "generate" => "shop.sort()",
                        "consume" => "Array.from(",
                        _ => "descend(",
                    };
                    assert!(text.contains(call), "{} {options:?}: {function:?}: {text}", node.display());
                }
            }
        }
    }
}

#[test]
fn no_memory_of_v8_breaks_who_reads_it() {
    stopped_in(Path::new("/usr/bin/node"), &["--always-sparkplug"]).withstands_changes();
}

/// Frames that lead to each other without an end: each word of the stack in its turn leads to one that was before.
#[test]
fn frames_of_v8_in_a_circle_end_a_walk() {
    let stopped = stopped_in(Path::new("/usr/bin/node"), &[]);
    let (replay, _) = stopped.replay();
    let image = stopped.image();
    let walk = || replay.walk_asking(0, stopped.program.registers(), |address| image.word(address));
    walk();
    let stack = stopped.program.registers().sp;
    let frames: Vec<u64> = image.take_read().into_iter().filter(|at| (stack..stack + (1 << 20)).contains(at)).collect();
    for address in &frames {
        for target in frames.iter().filter(|target| *target < address).step_by(97) {
            image.undo();
            image.change(*address, *target);
            let walked = walk();
            assert!(walked.frames.len() + walked.of_runtimes.len() <= 512, "{walked:x?}");
        }
    }
}

/// Those that are named, and that of the system.
fn nodes() -> Vec<PathBuf> {
    let named = std::env::var_os("FLAMEGATE_NODES").unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|path| path.is_absolute());
    named.chain(["/usr/bin/node".into()]).collect()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node/stopped.js")
}

fn stopped_in(node: &Path, options: &[&str]) -> Stopped {
    let mut command = Command::new(node);
    command.args(options).arg(source());
    Stopped::of(command, FrameKind::V8)
}
