//! Node.js, stopped where its stack is known: the kernel's code finds the functions that are on it, and whatever their
//! memory becomes, it ends, and so does who reads their names.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use profiler_core::kernel::{FileRef, Frame, FrameKind, Runtimes, Unwinder};
use profiler_core::process::{Source, executable_memory};
use profiler_core::runtime::{FileData, Instance, ProcessMemory, ReadMemory};

use super::hostile::Chance;
use super::image::Image;
use super::memory::Memory;
use super::program::Program;
use super::replay::{ORIGINS, Replay};

/// Changes of a word, each with a walk and all names.
const CHANGES: usize = 400;

/// A stopped process, and what there is to know of its runtime.
struct Stopped {
    program: Program,
    memory: Memory,
    data: Arc<FileData>,
}

#[test]
fn frames_of_v8_lie_where_they_belong() {
    let source = std::fs::read_to_string(source()).expect("the program");
    for node in nodes() {
        // All that the interpreter runs, and all that the first compiler makes of it.
        for options in [&["--no-sparkplug"][..], &["--always-sparkplug"]] {
            let stopped = Stopped::in_node(&node, options);
            let (replay, instance) = stopped.replay();
            for origin in ORIGINS {
                let walked =
                    replay.walk_asking(origin, stopped.program.registers(), |address| stopped.memory.word(address));
                assert_eq!(walked.stop, 0, "{}: {:?}", node.display(), stopped.memory.places(&walked.frames));
                let mut functions = functions(&instance, &stopped.live(), &walked.of_runtimes);
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
    let stopped = Stopped::in_node(Path::new("/usr/bin/node"), &["--always-sparkplug"]);
    let (replay, instance) = stopped.replay();
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut stops = BTreeSet::new();
    let mut walked_frames = BTreeSet::new();
    let image = Image::new(stopped.live());
    let walk = |image: &Image| {
        let walked = replay.walk_asking(0, stopped.program.registers(), |address| image.word(address));
        assert!(walked.frames.len() + walked.of_runtimes.len() <= 512, "{walked:x?}");
        let _ = functions(&instance, image, &walked.of_runtimes);
        walked
    };
    walk(&image);
    // Words that are looked at, and values that lead from one to another.
    let read = image.take_read();
    let mut pick = |from: &[u64]| from[usize::try_from(chance.below(from.len() as u64)).expect("few")];
    for change in 0..CHANGES {
        let address = pick(&read);
        let before = image.word(address).unwrap_or(0);
        let values =
            [0, 1, u64::MAX, before ^ 1, before.wrapping_add(8), pick(&read), image.word(pick(&read)).unwrap_or(0)];
        image.change(address, values[change % values.len()]);
        let walked = walk(&image);
        if change % 16 == 0 {
            let _ = stopped.data.attach(&image, stopped.pid(), 0);
        }
        stops.insert(walked.stop);
        walked_frames.insert(walked.of_runtimes.len());
        // Some changes come together.
        if change % 3 == 2 {
            image.undo();
        }
    }
    assert!(
        stops.len() > 1 && walked_frames.len() > 3,
        "nothing was changed that matters: {stops:?} {walked_frames:?}"
    );
}

/// Frames that lead to each other without an end: each word of the stack in its turn leads to one that was before.
#[test]
fn frames_of_v8_in_a_circle_end_a_walk() {
    let stopped = Stopped::in_node(Path::new("/usr/bin/node"), &[]);
    let (replay, _) = stopped.replay();
    let image = Image::new(stopped.live());
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

#[derive(Debug)]
struct Function {
    name: String,
    file: String,
    line: u32,
}

/// Of a frame without a name nothing.
fn functions(instance: &Instance, memory: &dyn ReadMemory, frames: &[[u64; 2]]) -> Vec<Function> {
    let mut functions = Vec::new();
    for [address, what] in frames {
        let frame = Frame {
            address: *address,
            file: FileRef(0),
            place: *what as u32,
            check: (what >> 48) as u16,
            kind: FrameKind::V8,
            caller: false,
            by_pointer: false,
        };
        instance.functions(memory, &frame, &mut |function| {
            let (name, file) = (function.name.to_owned(), function.file.to_owned());
            functions.push(Function { name, file, line: function.line });
        });
    }
    functions
}

impl Stopped {
    fn in_node(node: &Path, options: &[&str]) -> Self {
        let mut command = Command::new(node);
        command.args(options).arg(source());
        let program = Program::stopped_in(command, "node");
        let memory = Memory::of(program.pid());
        let recognised = memory.mappings.iter().find_map(|mapping| {
            let path = mapping.path.to_str()?;
            FileData::recognise(Runtimes::ALL, &mapping.file, path).expect("a version that is known")
        });
        Self { program, memory, data: recognised.expect("a file of V8") }
    }

    fn live(&self) -> ProcessMemory {
        ProcessMemory::of(self.pid()).expect("its memory")
    }

    fn pid(&self) -> u32 {
        self.program.pid().as_raw().cast_unsigned()
    }

    fn replay(&self) -> (Replay, Instance) {
        let (process, instance) = self.data.attach(&self.live(), self.pid(), 0).expect("it runs");
        let (unwinder, code) = self.data.code();
        assert_eq!(unwinder, Unwinder::V8);
        let number = u64::from(unwinder.0);
        let path = std::fs::read_link(format!("/proc/{}/exe", self.pid())).expect("the program");
        let mut mapped = self.memory.mapped();
        for (mapped, mapping) in mapped.iter_mut().zip(&self.memory.mappings).filter(|(_, one)| one.path == path) {
            let within = |code: &Range<u64>| {
                let [start, end] = [code.start, code.end].map(|address| address.wrapping_add(mapping.bias));
                start.max(mapping.start)..end.min(mapping.end)
            };
            let within = code.iter().map(within).filter(|code| code.start < code.end);
            mapped.of_runtime = within.map(|code| (code, number)).collect();
        }
        let made = executable_memory(self.pid()).expect("its memory");
        let made = made.into_iter().filter(|memory| memory.source == Source::Anonymous);
        let made: Vec<Range<u64>> = made.map(|memory| memory.start..memory.end).collect();
        let replay = Replay::with_made_code(&mapped, &made, number);
        replay.tell_runtime(Unwinder::V8.0.into(), &process.words());
        (replay, instance)
    }
}
