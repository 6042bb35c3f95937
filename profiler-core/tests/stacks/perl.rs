//! Perl, stopped where its stack is known: the kernel's code finds the subroutines that are on it, and whatever their memory
//! becomes, it ends, and so does who reads their names.

use std::path::{Path, PathBuf};
use std::process::Command;

use profiler_core::kernel::FrameKind;

use super::replay::ORIGINS;
use super::stopped::{Function, Stopped};

#[test]
fn frames_of_perl_lie_where_they_belong() {
    let path = source();
    let source = std::fs::read_to_string(&path).expect("the program");
    let without_name = format!("main::__ANON__[{}:38]", path.display());
    for perl in perls() {
        let stopped = stopped_in(&perl);
        let (replay, instance) = stopped.replay();
        // Each with what is called in its line.
        let shop = [
            ("main::stop_here", "kill(STOP"),
            ("Trade::Shop::sorted", "main::stop_here()"),
            ("Trade::Shop::by_name", "sorted()"),
            (without_name.as_str(), "sort Trade::Shop::by_name"),
            ("Trade::Shop::offer", "$then->"),
            ("main::descend", "Trade::Shop->offer"),
        ];
        let outer = [&[("main::descend", "descend($depth - 1)"); 5][..], &[("<main>", "descend(5)")]].concat();
        let expected = [&shop[..], &outer].concat();
        for origin in ORIGINS {
            let walked =
                replay.walk_asking(origin, stopped.program.registers(), |address| stopped.memory.word(address));
            assert_eq!(walked.stop, 0, "{}: {:?}", perl.display(), stopped.memory.places(&walked.frames));
            let functions = stopped.functions(&instance, &stopped.live(), &walked.of_runtimes);
            let names: Vec<&str> = functions.iter().map(|function| function.name.as_str()).collect();
            assert_eq!(names, expected.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{}", perl.display());
            for (Function { name, line, .. }, (_, call)) in functions.iter().zip(&expected) {
                let text = source.lines().nth((*line as usize).wrapping_sub(1)).unwrap_or_default();
                assert!(text.contains(call), "{}: {name} in line {line}: {text}", perl.display());
            }
        }
    }
}

#[test]
fn no_memory_of_perl_breaks_who_reads_it() {
    stopped_in(Path::new("/usr/bin/perl")).withstands_changes();
}

/// That of the system, and those that are named.
fn perls() -> Vec<PathBuf> {
    let named = std::env::var_os("FLAMEGATE_PERLS").unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|path| path.is_absolute()).collect::<Vec<_>>();
    [vec![PathBuf::from("/usr/bin/perl")], named].concat()
}

fn stopped_in(perl: &Path) -> Stopped {
    let mut command = Command::new(perl);
    command.arg(source());
    Stopped::of(command, FrameKind::Perl)
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/perl/stopped.pl")
}
