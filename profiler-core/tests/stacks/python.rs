//! Python, stopped where its stack is known: the kernel's code finds the functions that are on it, and whatever their
//! memory becomes, it ends, and so does who reads their names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use nix::unistd::Pid;
use profiler_core::kernel::{FileRef, Frame, FrameKind, Runtimes};
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
    bias: u64,
}

#[test]
fn frames_of_python_lie_where_they_belong() {
    let source = std::fs::read_to_string(source()).expect("the program");
    for python in pythons() {
        let stopped = Stopped::in_python(&python);
        let (replay, instance) = stopped.replay();
        let expected = ["stop_here", "sort", "generate", "consume"];
        let expected = [&expected[..], &["descend"; 6], &["<module>"]].concat();
        for origin in ORIGINS {
            let walked =
                replay.walk_asking(origin, stopped.program.registers(), |address| stopped.memory.word(address));
            assert_eq!(walked.stop, 0, "{}: {:?}", python.display(), stopped.memory.places(&walked.frames));
            let functions = functions(&instance, &stopped.live(), &walked.of_runtimes);
            let names: Vec<&str> = functions.iter().map(|(name, _)| last(name)).collect();
            assert_eq!(names, expected, "{}", python.display());
            for (name, line) in &functions {
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
    let stopped = Stopped::in_python(Path::new("/usr/bin/python3"));
    let (replay, instance) = stopped.replay();
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut stops = BTreeSet::new();
    let mut walked_frames = BTreeSet::new();
    let image = Image::new(stopped.live());
    let walk = |image: &Image| {
        let walked = replay.walk_asking(0, stopped.program.registers(), |address| image.word(address));
        assert!(walked.frames.len() + walked.of_runtimes.len() <= 512, "{walked:x?}");
        let _ = functions(&instance, image, &walked.of_runtimes);
        let _ = stopped.data.attach(image, stopped.program.pid().as_raw().cast_unsigned(), stopped.bias);
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

/// A list of frames without an end.
#[test]
fn frames_in_a_circle_end_a_walk() {
    let stopped = Stopped::in_python(Path::new("/usr/bin/python3"));
    let (replay, _) = stopped.replay();
    let image = Image::new(stopped.live());
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

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/stopped.py")
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

/// Names and lines; of a frame without a name nothing.
fn functions(instance: &Instance, memory: &dyn ReadMemory, frames: &[[u64; 2]]) -> Vec<(String, u32)> {
    let mut functions = Vec::new();
    for [address, what] in frames {
        let frame = Frame {
            address: *address,
            file: FileRef(0),
            place: *what as u32,
            check: (what >> 48) as u16,
            kind: FrameKind::Python,
            caller: false,
            by_pointer: false,
        };
        instance.functions(memory, &frame, &mut |function| functions.push((function.name.to_owned(), function.line)));
    }
    functions
}

impl Stopped {
    fn in_python(python: &Path) -> Self {
        let mut command = Command::new(python);
        command.arg(source());
        let program = Program::stopped_in(command, "python");
        let memory = Memory::of(program.pid());
        let recognised = memory.mappings.iter().find_map(|mapping| {
            let path = mapping.path.to_str()?;
            let data = FileData::recognise(Runtimes::ALL, &mapping.file, path).expect("a version that is known")?;
            Some((data, mapping.bias))
        });
        let (data, bias) = recognised.expect("a file of CPython");
        Self { program, memory, data, bias }
    }

    fn live(&self) -> ProcessMemory {
        ProcessMemory::of(pid(self.program.pid())).expect("its memory")
    }

    fn replay(&self) -> (Replay, Instance) {
        let (process, instance) = self.data.attach(&self.live(), pid(self.program.pid()), self.bias).expect("it runs");
        let (unwinder, code) = self.data.code();
        let mut mapped = self.memory.mapped();
        for mapped in mapped.iter_mut().filter(|mapped| mapped.bias == self.bias) {
            let within = code.iter().map(|code| code.start.wrapping_add(self.bias)..code.end.wrapping_add(self.bias));
            let within = within.filter(|code| (mapped.start..mapped.end).contains(&code.start));
            mapped.of_runtime = within.map(|code| (code, unwinder.0.into())).collect();
            mapped.of_runtime.sort_by_key(|(code, _)| code.start);
        }
        let replay = Replay::new(&mapped);
        replay.tell_python(&process.words());
        replay.tell_thread_pointer(self.program.thread_pointer());
        (replay, instance)
    }
}

fn pid(pid: Pid) -> u32 {
    pid.as_raw().cast_unsigned()
}

/// Memory with words that are others than in the process.
pub(crate) struct Image {
    pub(crate) live: ProcessMemory,
    pub(crate) changes: RefCell<BTreeMap<u64, u64>>,
    pub(crate) read: RefCell<BTreeSet<u64>>,
}

impl ReadMemory for Image {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        if !self.live.read(address, into) {
            return false;
        }
        let end = address.saturating_add(into.len() as u64);
        if into.len() <= 8 {
            self.read.borrow_mut().insert(address & !7);
        }
        for (at, word) in self.changes.borrow().range(address.saturating_sub(7)..end) {
            for (byte, value) in (*at..).zip(word.to_le_bytes()) {
                let place = byte.checked_sub(address).and_then(|place| usize::try_from(place).ok());
                if let Some(changed) = place.and_then(|place| into.get_mut(place)) {
                    *changed = value;
                }
            }
        }
        true
    }
}
