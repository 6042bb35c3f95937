//! Ruby (MRI), 2.7 to 3.4.
//!
//! A file of it is known by its symbols, and says its version. Its loop is where the addresses of its instructions lead to.
//! Everything else is found in the process, where each thing says of another one that it belongs to it: the virtual machine
//! or the execution context among Ruby's variables, from there the threads, and their places among what the C library keeps
//! for threads. Before frames are walked, all frames of a thread must be what frames are.

use std::ops::Range;

use crate::kernel::RubyProcess;
use crate::native::elf::{ElfFile, Machine};

use super::assumed::one_of;
use super::memory::ReadMemory;
use super::{AttachError, Unsupported, exports, thread_slot};
use layout::{Layout, Version};
use names::Names;

pub(super) use functions::{RubyFunction, check_in_place};

mod functions;
mod instructions;
mod layout;
mod lines;
mod names;
mod objects;
mod threads;

/// What is known of a file; addresses are those of the file.
#[derive(Debug)]
pub(super) struct FileData {
    version: Version,
    layout: Layout,
    machine: Machine,
    /// The interpreter's loop, and what was moved out of it.
    pub(super) loop_code: Vec<Range<u64>>,
    /// The segment of the loop.
    text: Range<u64>,
    /// Where its variables are: those that begin with a value, and those that begin with none.
    initialised: Range<u64>,
    zeroed: Range<u64>,
}

/// What is known of a process.
#[derive(Debug)]
pub(super) struct Instance {
    layout: Layout,
    names: Names,
}

impl FileData {
    /// None of a file that is nothing of Ruby's.
    pub(super) fn recognise(file: &ElfFile, path: &str) -> Result<Option<Self>, Unsupported> {
        // Other programs may have versions of Ruby, but not its classes.
        let [Some(version), Some(_)] = exports::find(file, ["ruby_api_version", "rb_cObject"]) else { return Ok(None) };
        // Those of another file, copied when a program starts, are not in this one.
        let Some(numbers) = exports::bytes(file, version.address, 12) else { return Ok(None) };
        let numbers: Vec<u32> = numbers.as_chunks().0.iter().map(|number| u32::from_le_bytes(*number)).collect();
        let version = Version::of(&numbers)
            .ok_or_else(|| Unsupported(format!("{path}: Ruby of a version that cannot be told")))?;
        let layout = Layout::of(version).ok_or_else(|| Unsupported(format!("{path}: Ruby {version} is not known")))?;
        let loop_code = instructions::loop_code(file)
            .ok_or_else(|| Unsupported(format!("{path}: the loop of Ruby {version} is not found")))?;
        let text = loop_code.first().and_then(|code| file.executable().iter().find(|text| text.contains(code.start)));
        let text = text.map(|text| text.address..text.end()).unwrap_or_default();
        let section = |name: &[u8]| {
            let found = file.sections().find(|(found, _)| *found == name).map(|(_, section)| section);
            found.map(|section| section.address..section.address.saturating_add(section.size)).unwrap_or_default()
        };
        let (initialised, zeroed) = (section(b".data"), section(b".bss"));
        Ok(Some(Self { version, layout, machine: file.machine(), loop_code, text, initialised, zeroed }))
    }

    pub(super) fn name(&self) -> String {
        format!("Ruby {}", self.version)
    }

    /// Finds everything in a process, in which the file's addresses are moved by `bias`.
    pub(super) fn attach(
        &self,
        memory: &dyn ReadMemory,
        pid: u32,
        bias: u64,
    ) -> Result<(RubyProcess, Instance), AttachError> {
        let moved = |range: &Range<u64>| range.start.wrapping_add(bias)..range.end.wrapping_add(bias);
        let layout = self.layout;
        let self_offset = thread_slot::self_offset(self.machine, pid);
        let self_offset = self_offset.ok_or(AttachError::NotYet("the C library has no pthread_self"))?;
        let first = threads::first(memory, &layout, &moved(&self.zeroed));
        let first = first.ok_or(AttachError::NotYet("it has no thread that runs"))?;
        let threads = threads::beside(memory, &layout, first);
        let slot = thread_slot::near(memory, &threads).or_else(|| thread_slot::slot(memory, &threads));
        let slot = slot.ok_or(AttachError::NotYet("its threads are nowhere among the system's"))?;
        let names = Names::find(memory, &layout, &moved(&self.initialised));
        let names = names.ok_or(AttachError::NotYet("its names are not found"))?;
        let instance = Instance { layout, names };
        if !threads.iter().any(|thread| threads::has_frames(memory, &instance, thread.state)) {
            return Err(AttachError::NotYet("no thread has frames that can be read"));
        }
        let process = RubyProcess {
            text: moved(&self.text),
            loop_code: self.loop_code.first().map(moved).unwrap_or_default(),
            self_offset,
            slot,
            thread_context: layout.thread_context,
            context_thread: layout.context_thread,
            frame_size: layout.frame_size,
        };
        Ok((process, instance))
    }
}

impl Instance {
    /// See [`super::Assumption`]: the table of names, and the numbers of two of them.
    pub(super) fn assumed(version: u8, found: [u64; 3], memory: &dyn ReadMemory) -> Option<Self> {
        const VERSIONS: [[u32; 3]; 6] = [[2, 7, 0], [3, 0, 0], [3, 1, 0], [3, 2, 0], [3, 3, 0], [3, 4, 0]];
        let layout = Layout::of(Version::of(&one_of(&VERSIONS, version)?)?)?;
        let [table, class_path, attached] = found;
        let names = Names::assumed(table, class_path, attached);
        let instance = Self { layout, names };
        let variables = table..table.saturating_add(1 << 12);
        let _names = Names::find(memory, &layout, &variables);
        if let Some(first) = threads::first(memory, &layout, &variables) {
            for thread in threads::beside(memory, &layout, first) {
                let _has_frames = threads::has_frames(memory, &instance, thread.state);
            }
        }
        Some(instance)
    }

    /// What is known of a function, if it is the one that a frame was of: what stands for it, and its check.
    pub(super) fn function(&self, memory: &dyn ReadMemory, address: u64, check: u32) -> Option<RubyFunction> {
        functions::read(self, memory, address, check)
    }
}
