//! Runtimes in processes that are stopped, and the kernel's code over their memory, or over one with other words.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use nix::unistd::Pid;
use profiler_core::kernel::{FileRef, Frame, FrameKind, Runtimes};
use profiler_core::process::{MappedMemory, Source, executable_memory};
use profiler_core::runtime::{FileData, Instance, MadeCode, ProcessMemory, ReadMemory};

use super::hostile::Chance;
use super::image::Image;
use super::memory::Memory;
use super::program::Program;
use super::replay::{Replay, Walked};

/// Changes of a word, each with a walk and all names.
const CHANGES: usize = 400;

/// A stopped process, and what there is to know of its runtime.
pub(crate) struct Stopped {
    pub(crate) program: Program,
    pub(crate) memory: Memory,
    data: Arc<FileData>,
    /// Of the runtime's file, and how far it was moved first.
    path: PathBuf,
    bias: u64,
    kind: FrameKind,
}

/// What a frame says of itself.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) line: u32,
}

impl Stopped {
    /// A program that stops itself, in a runtime whose frames are of this kind.
    pub(crate) fn of(command: Command, kind: FrameKind) -> Self {
        let program = Program::stopped_in(command, kind.text());
        let memory = Memory::of(program.pid());
        let recognised = memory.mappings.iter().find_map(|mapping| {
            let path = mapping.path.to_str()?;
            let data = FileData::recognise(Runtimes::ALL, &mapping.file, path).expect("a version that is known")?;
            Some((data, mapping.path.clone(), mapping.bias))
        });
        let (data, path, bias) = recognised.expect("a file of the runtime");
        Self { program, memory, data, path, bias, kind }
    }

    pub(crate) fn live(&self) -> ProcessMemory {
        ProcessMemory::of(pid(self.program.pid())).expect("its memory")
    }

    /// Its memory, which can be changed.
    pub(crate) fn image(&self) -> Image {
        Image::new(self.live())
    }

    pub(crate) fn replay(&self) -> (Replay, Instance) {
        let (process, instance) = self.data.attach(&self.live(), pid(self.program.pid()), self.bias).expect("it runs");
        let (unwinder, code) = self.data.code();
        let mut mapped = self.memory.mapped();
        // Some map a part of their file once more, elsewhere.
        let of_file = mapped.iter_mut().zip(&self.memory.mappings).filter(|(_, mapping)| mapping.path == self.path);
        for (mapped, _) in of_file {
            let within = code.iter().map(|code| {
                let [start, end] = [code.start, code.end].map(|address| address.wrapping_add(mapped.bias));
                start.max(mapped.start)..end.min(mapped.end)
            });
            let within = within.filter(|code| code.start < code.end);
            mapped.of_runtime = within.map(|code| (code, unwinder.0.into())).collect();
            mapped.of_runtime.sort_by_key(|(code, _)| code.start);
        }
        let replay = Replay::with_made_code(&mapped, &self.made_code(&instance), unwinder.0.into());
        replay.tell_runtime(unwinder.0.into(), &process.words());
        replay.tell_thread_pointer(self.program.thread_pointer());
        (replay, instance)
    }

    /// Where the runtime makes code. What is of a file that is no program is of none, as assemblies are.
    fn made_code(&self, instance: &Instance) -> Vec<Range<u64>> {
        let made = |is_made: &dyn Fn(&MappedMemory) -> bool| {
            let memory = executable_memory(pid(self.program.pid())).expect("its memory").into_iter();
            memory.filter(|memory| is_made(memory)).map(|memory| memory.start..memory.end).collect()
        };
        let is_known = |start: u64| self.memory.mappings.iter().any(|known| (known.start..known.end).contains(&start));
        match instance.made_code() {
            MadeCode::Nowhere => Vec::new(),
            MadeCode::OfNoFile => made(&|memory| memory.source != Source::Vdso && !is_known(memory.start)),
            MadeCode::Shared => made(&|memory| memory.source.is_shared_memory()),
            MadeCode::Within(ranges) => ranges,
        }
    }

    /// The functions of frames; of one without a name nothing.
    pub(crate) fn functions(&self, instance: &Instance, memory: &dyn ReadMemory, frames: &[[u64; 2]]) -> Vec<Function> {
        let mut functions = Vec::new();
        for [address, what] in frames {
            let frame = Frame {
                address: *address,
                file: FileRef(0),
                place: *what as u32,
                check: (what >> 48) as u16,
                kind: self.kind,
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

    /// Changes words that are looked at: walks end, and so does who reads names or looks for the runtime.
    pub(crate) fn withstands_changes(&self) {
        let (replay, instance) = self.replay();
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        let mut stops = BTreeSet::new();
        let mut walked_frames = BTreeSet::new();
        let image = self.image();
        let walk = || -> Walked {
            let walked = replay.walk_asking(0, self.program.registers(), |address| image.word(address));
            assert!(walked.frames.len() + walked.of_runtimes.len() <= 512, "{walked:x?}");
            let _ = self.functions(&instance, &image, &walked.of_runtimes);
            walked
        };
        let attach = || {
            let _ = self.data.attach(&image, pid(self.program.pid()), self.bias);
        };
        // Words that are looked at, and values that lead from one to another.
        walk();
        let walked = image.take_read();
        attach();
        let attached = image.take_read();
        let mut pick = |from: &[u64]| from[usize::try_from(chance.below(from.len() as u64)).expect("few")];
        for change in 0..CHANGES {
            // Of a runtime that describes itself, what is read once is most of it.
            let read = if change % 4 == 3 && !attached.is_empty() { &attached } else { &walked };
            let address = pick(read);
            let before = image.word(address).unwrap_or(0);
            let values =
                [0, 1, u64::MAX, before ^ 1, before.wrapping_add(8), pick(read), image.word(pick(read)).unwrap_or(0)];
            image.change(address, values[change % values.len()]);
            let found = walk();
            stops.insert(found.stop);
            walked_frames.insert(found.of_runtimes.len());
            // Some changes come together.
            if change % 3 == 2 {
                attach();
                image.undo();
            }
        }
        assert!(
            stops.len() > 1 && walked_frames.len() > 3,
            "nothing was changed that matters: {stops:?} {walked_frames:?}"
        );
    }
}

fn pid(pid: Pid) -> u32 {
    pid.as_raw().cast_unsigned()
}
