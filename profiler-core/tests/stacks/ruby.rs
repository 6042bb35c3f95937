//! Ruby, stopped where its stack is known: the kernel's code finds the functions that are on it, and whatever their memory
//! becomes, it ends, and so does who reads their names.

use std::path::{Path, PathBuf};
use std::process::Command;

use profiler_core::kernel::FrameKind;

use super::replay::ORIGINS;
use super::stopped::{Function, Stopped};

#[test]
fn frames_of_ruby_lie_where_they_belong() {
    let source = std::fs::read_to_string(source()).expect("the program");
    for ruby in rubies() {
        let stopped = stopped_in(&ruby);
        let (replay, instance) = stopped.replay();
        // Each with what is called in its line.
        let shop = [
            ("Process.kill", ""),
            ("Object#stop_here", "Process.kill"),
            ("block in Trade::Shop.sort", "stop_here(item)"),
            ("Array#each", ""),
            ("Enumerable#sort_by", ""),
            ("Trade::Shop.sort", "sort_by"),
            ("block in <class:Shop>", "Shop.sort"),
            ("block in Object#descend", "shop.offer"),
            ("Object#each_one", "yield"),
            ("Object#descend", "each_one"),
        ];
        let outer = [&[("Object#descend", "descend(depth - 1)"); 5][..], &[("<main>", "descend(5)")]].concat();
        let expected = [&shop[..], &outer].concat();
        for origin in ORIGINS {
            let walked =
                replay.walk_asking(origin, stopped.program.registers(), |address| stopped.memory.word(address));
            assert_eq!(walked.stop, 0, "{}: {:?}", ruby.display(), stopped.memory.places(&walked.frames));
            let functions = stopped.functions(&instance, &stopped.live(), &walked.of_runtimes);
            let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
            assert_eq!(names, expected.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{}", ruby.display());
            for (Function { name, line, .. }, (_, call)) in functions.iter().zip(&expected) {
                let text = source.lines().nth((*line as usize).wrapping_sub(1)).unwrap_or_default();
                assert!(text.contains(call), "{}: {name} in line {line}: {text}", ruby.display());
            }
        }
    }
}

#[test]
fn no_memory_of_ruby_breaks_who_reads_it() {
    stopped_in(Path::new("/usr/bin/ruby")).withstands_changes();
}

/// That of the system, and those that are named.
fn rubies() -> Vec<PathBuf> {
    let named = std::env::var_os("FLAMEGATE_RUBIES").unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|path| path.is_absolute()).collect::<Vec<_>>();
    [vec![PathBuf::from("/usr/bin/ruby")], named].concat()
}

fn stopped_in(ruby: &Path) -> Stopped {
    let mut command = Command::new(ruby);
    command.arg(source());
    Stopped::of(command, FrameKind::Ruby)
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ruby/stopped.rb")
}
