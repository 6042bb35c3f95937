//! Python, stopped where its stack is known: the kernel's code finds the functions that are on it, and whatever their
//! memory becomes, it ends, and so does who reads their names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use profiler_core::kernel::FrameKind;
use profiler_core::runtime::ReadMemory;

use super::replay::ORIGINS;
use super::stopped::{Function, Stopped};

#[test]
fn frames_of_python_lie_where_they_belong() {
    let source = std::fs::read_to_string(source()).expect("the program");
    for python in pythons() {
        let stopped = stopped_in(&python);
        let (replay, instance) = stopped.replay();
        let expected = ["stop_here", "sort", "generate", "consume"];
        let expected = [&expected[..], &["descend"; 6], &["<module>"]].concat();
        for origin in ORIGINS {
            let walked =
                replay.walk_asking(origin, stopped.program.registers(), |address| stopped.memory.word(address));
            assert_eq!(walked.stop, 0, "{}: {:?}", python.display(), stopped.memory.places(&walked.frames));
            let functions = stopped.functions(&instance, &stopped.live(), &walked.of_runtimes);
            let names: Vec<&str> = functions.iter().map(|function| last(&function.name)).collect();
            assert_eq!(names, expected, "{}", python.display());
            for Function { name, line, .. } in &functions {
                let text = source.lines().nth(*line as usize - 1).unwrap_or_default();
                let call = match last(name) {
                    "stop_here" => "os.kill(",
                    "sort" => "sorted(",
                    "generate" => "shop.sort()",
                    "consume" => "list(",
                    _ => "descend(",
                };
                assert!(text.contains(call), "{}: {name} in line {line}: {text}", python.display());
            }
        }
    }
}

#[test]
fn no_memory_of_python_breaks_who_reads_it() {
    stopped_in(Path::new("/usr/bin/python3")).withstands_changes();
}

/// A list of frames without an end.
#[test]
fn frames_in_a_circle_end_a_walk() {
    let stopped = stopped_in(Path::new("/usr/bin/python3"));
    let (replay, _) = stopped.replay();
    let image = stopped.image();
    let walk = || replay.walk_asking(0, stopped.program.registers(), |address| image.word(address));
    let whole = walk();
    let functions: BTreeSet<u64> = whole.of_runtimes.iter().map(|[function, _]| *function).collect();
    // Whatever leads from one frame to the next is a word that was read, and what is there was read, too.
    let read = image.take_read();
    let near = |address: u64| read.iter().any(|other| other.abs_diff(address) < 128);
    let pointers: Vec<u64> = read
        .iter()
        .copied()
        .filter(|address| stopped.memory.word(*address).is_some_and(|word| near(word) && !functions.contains(&word)))
        .collect();
    let mut longest = 0;
    for address in pointers {
        for target in [address & !127, address.wrapping_sub(48), address.wrapping_sub(24), address.wrapping_sub(8)] {
            image.undo();
            image.change(address, target);
            let walked = walk();
            longest = longest.max(walked.of_runtimes.len());
            assert!(walked.of_runtimes.len() < 512 || walked.stop == 7, "{walked:x?}");
        }
    }
    assert!(longest > 400, "no circle was made: at most {longest} frames");
}

/// That of the system, and those that are named.
fn pythons() -> Vec<PathBuf> {
    let named = std::env::var_os("FLAMEGATE_PYTHONS").unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|path| path.is_absolute()).collect::<Vec<_>>();
    [vec![PathBuf::from("/usr/bin/python3")], named].concat()
}

fn stopped_in(python: &Path) -> Stopped {
    let mut command = Command::new(python);
    command.arg(source());
    Stopped::of(command, FrameKind::Python)
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/stopped.py")
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}
