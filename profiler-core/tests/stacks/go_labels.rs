//! A program of Go, stopped where its goroutine has labels: the kernel's code hands them over, and whatever the memory
//! becomes, it ends and hands over what can be told apart.

use std::path::{Path, PathBuf};
use std::process::Command;

use profiler_core::kernel::Runtimes;
use profiler_core::runtime::{FileData, ReadMemory};
use tempfile::TempDir;

use super::hostile::Chance;
use super::image::Image;
use super::memory::Memory;
use super::program::Program;
use super::replay::{ORIGINS, Replay, Walked};

/// Changes of words, each with a walk.
const CHANGES: usize = 1000;

struct Stopped {
    program: Program,
    memory: Memory,
    replay: Replay,
    _folder: TempDir,
}

impl Stopped {
    fn of(go: &Path) -> Self {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("program");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go/stopped.go");
        let output = Command::new(go).arg("build").arg("-o").arg(&path).arg(source).output();
        let output = output.unwrap_or_else(|error| panic!("this test needs {}: {error}", go.display()));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let program = Program::stopped_in(Command::new(&path), "labels");
        let memory = Memory::of(program.pid());
        let mapping = memory.mappings.iter().find(|mapping| mapping.path == path).expect("the program");
        let wanted = Runtimes { go: true, ..Runtimes::NONE };
        let data = FileData::recognise(wanted, &mapping.file, "program").expect("a version that is known");
        let pid = program.pid().as_raw().cast_unsigned();
        let live = profiler_core::runtime::ProcessMemory::of(pid).expect("its memory");
        let (process, _) = data.expect("a program with labels").attach(&live, pid, mapping.bias).expect("it runs");
        let replay = Replay::new(&memory.mapped());
        replay.tell_runtime(0, &process.words());
        replay.tell_thread_pointer(program.thread_pointer());
        Self { program, memory, replay, _folder: folder }
    }
}

#[test]
fn labels_of_goroutines_are_handed_over() {
    for go in gos() {
        let Stopped { program, memory, replay, _folder } = Stopped::of(&go);
        for origin in ORIGINS {
            let walked = replay.walk_asking(origin, program.registers(), |address| memory.word(address));
            let mut labels = labels(&walked);
            labels.sort_unstable();
            let more = (0..10).map(|number| (format!("more {number}"), number.to_string()));
            let own = [("empty", ""), ("endpoint", "/buy"), ("long", "0123456789")];
            let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
            assert_eq!(labels, own.into_iter().chain(more).collect::<Vec<_>>(), "{}", go.display());
        }
    }
}

#[test]
fn no_memory_of_go_breaks_who_reads_labels() {
    for go in gos() {
        let Stopped { program, replay, .. } = Stopped::of(&go);
        let live = profiler_core::runtime::ProcessMemory::of(program.pid().as_raw().cast_unsigned()).expect("it");
        let image = Image::new(live);
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        let walk = || {
            let mut reads = 0;
            let walked = replay.walk_asking(0, program.registers(), |address| {
                reads += 1;
                image.word(address)
            });
            assert!(reads < 4096, "{reads} words were read");
            labels(&walked).len()
        };
        let whole = walk();
        let read = image.take_read();
        let mut pick = |from: &[u64]| from[usize::try_from(chance.below(from.len() as u64)).expect("few")];
        let mut without = 0;
        for change in 0..CHANGES {
            let address = pick(&read);
            let before = image.word(address).unwrap_or(0);
            let values =
                [0, 1, u64::MAX, before ^ 1, before.wrapping_add(8), pick(&read), image.word(pick(&read)).unwrap_or(0)];
            image.change(address, values[change % values.len()]);
            without += usize::from(walk() < whole);
            if change % 3 == 2 {
                image.undo();
            }
        }
        assert!(without > 20, "nothing was changed that matters: {without}");
    }
}

/// Whole ones, with nothing behind: as `LABEL_HEAD` says.
fn labels(walked: &Walked) -> Vec<(String, String)> {
    let mut rest = &walked.labels[..];
    let mut labels = Vec::new();
    while let [key, value, behind @ ..] = rest {
        let (key, behind) = behind.split_at((*key).into());
        let (value, behind) = behind.split_at((*value).into());
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        labels.push((text(key), text(value)));
        rest = behind;
    }
    assert!(rest.is_empty() && labels.len() <= 16, "{walked:x?}");
    labels
}

/// That of the system, and those that are named.
fn gos() -> Vec<PathBuf> {
    let named = std::env::var_os("FLAMEGATE_GOS").unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|path| path.is_absolute()).collect::<Vec<_>>();
    [vec![PathBuf::from("go")], named].concat()
}
