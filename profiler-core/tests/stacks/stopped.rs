//! Runtimes in processes that are stopped, and the kernel's code over their memory, or over one with other words.

use std::collections::BTreeSet;
use std::ops::Range;
use std::process::Command;
use std::sync::Arc;

use nix::unistd::Pid;
use profiler_core::kernel::{FileRef, Frame, FrameKind, Runtimes};
use profiler_core::process::{Source, executable_memory};
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
    bias: u64,
    kind: FrameKind,
}

impl Stopped {
    /// A program that stops itself, in a runtime whose frames are of this kind.
    pub(crate) fn of(command: Command, kind: FrameKind) -> Self {
        let program = Program::stopped_in(command, kind.text());
        let memory = Memory::of(program.pid());
        let recognised = memory.mappings.iter().find_map(|mapping| {
            let path = mapping.path.to_str()?;
            let data = FileData::recognise(Runtimes::ALL, &mapping.file, path).expect("a version that is known")?;
            Some((data, mapping.bias))
        });
        let (data, bias) = recognised.expect("a file of the runtime");
        Self { program, memory, data, bias, kind }
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
        for mapped in mapped.iter_mut().filter(|mapped| mapped.bias == self.bias) {
            let within = code.iter().map(|code| code.start.wrapping_add(self.bias)..code.end.wrapping_add(self.bias));
            let within = within.filter(|code| (mapped.start..mapped.end).contains(&code.start));
            mapped.of_runtime = within.map(|code| (code, unwinder.0.into())).collect();
            mapped.of_runtime.sort_by_key(|(code, _)| code.start);
        }
        let replay = Replay::with_made_code(&mapped, &self.made_code(&instance), unwinder.0.into());
        replay.tell_runtime(unwinder.0.into(), &process.words());
        replay.tell_thread_pointer(self.program.thread_pointer());
        (replay, instance)
    }

    /// Memory of no program's file, where the runtime makes code; assemblies are no programs.
    fn made_code(&self, instance: &Instance) -> Vec<Range<u64>> {
        if self.kind != FrameKind::DotNet || instance.made_code() != MadeCode::OfNoFile {
            return Vec::new();
        }
        let made = executable_memory(pid(self.program.pid())).expect("its memory").into_iter();
        let is_known = |start: u64| self.memory.mappings.iter().any(|known| (known.start..known.end).contains(&start));
        let made = made.filter(|memory| memory.source != Source::Vdso && !is_known(memory.start));
        made.map(|memory| memory.start..memory.end).collect()
    }

    /// Names and lines; of a frame without a name nothing.
    pub(crate) fn functions(
        &self,
        instance: &Instance,
        memory: &dyn ReadMemory,
        frames: &[[u64; 2]],
    ) -> Vec<(String, u32)> {
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
            let mut add = |name: &str, line| functions.push((name.to_owned(), line));
            instance.functions(memory, &frame, &mut |function| add(function.name, function.line));
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
        walk();
        attach();
        // Words that are looked at, and values that lead from one to another.
        let read = image.take_read();
        let mut pick = |from: &[u64]| from[usize::try_from(chance.below(from.len() as u64)).expect("few")];
        for change in 0..CHANGES {
            let address = pick(&read);
            let before = image.word(address).unwrap_or(0);
            let values =
                [0, 1, u64::MAX, before ^ 1, before.wrapping_add(8), pick(&read), image.word(pick(&read)).unwrap_or(0)];
            image.change(address, values[change % values.len()]);
            let walked = walk();
            stops.insert(walked.stop);
            walked_frames.insert(walked.of_runtimes.len());
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
