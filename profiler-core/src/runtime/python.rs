//! CPython, 3.6 to 3.14.
//!
//! A file of it is known by its symbols, its version by a number or by its name. Where things are in a process follows from
//! the version, or the process says it; before frames are walked, states, frames, code objects and texts are read and have
//! to be what they should be.

use std::ops::Range;

use crate::kernel::PythonProcess;
use crate::native::elf::{ElfFile, Machine};

use super::exports::{self, Export};
use super::memory::ReadMemory;
use super::thread_slot::{self, Thread};
use super::{AttachError, Unsupported, eval_loop};
use layout::{KNOWN, Layout, LayoutError, Version};

pub(super) use code::CodeObject;

mod code;
mod layout;
mod lines;
mod module;
mod text;
mod threads;

/// What is known of a file; addresses are those of the file.
#[derive(Debug)]
pub(super) struct FileData {
    version: Version,
    machine: Machine,
    /// The evaluation loop.
    pub(super) loop_code: Vec<Range<u64>>,
    start: Start,
}

/// Where all else begins.
#[derive(Debug, Clone, Copy)]
enum Start {
    /// `_PyRuntime`, from 3.7 on.
    Runtime(u64),
    /// `_PyThreadState_Current`, the state of the thread that runs.
    Current(u64),
}

/// What is known of a process.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) pid: u32,
    layout: Layout,
    code_type: u64,
    text_type: u64,
}

const LOOP: &str = "_PyEval_EvalFrameDefault";

impl FileData {
    /// None of a file that is nothing of CPython's.
    pub(super) fn recognise(file: &ElfFile, path: &str) -> Result<Option<Self>, Unsupported> {
        let symbols = exports::find(file, [LOOP, "_PyRuntime", "_PyThreadState_Current", "Py_Version"]);
        let [Some(function), runtime, current, version_symbol] = symbols else { return Ok(None) };
        let version = version_symbol.and_then(|symbol| said_version(file, symbol)).or_else(|| named_version(path));
        let Some(version) = version else {
            return Err(Unsupported(format!("{path}: CPython of a version that cannot be told")));
        };
        let start = match (runtime, current) {
            (Some(runtime), _) => Start::Runtime(runtime.address),
            (None, Some(current)) => Start::Current(current.address),
            (None, None) => return Err(Unsupported(format!("{path}: CPython {version} without its symbols"))),
        };
        if !KNOWN.contains(&version) || function.size == 0 {
            return Err(Unsupported(format!("{path}: CPython {version} is not known")));
        }
        let loop_code = eval_loop::code(file, function);
        Ok(Some(Self { version, machine: file.machine(), loop_code, start }))
    }

    pub(super) fn name(&self) -> String {
        format!("CPython {}", self.version)
    }

    /// Finds everything in a process, in which the file's addresses are moved by `bias`.
    pub(super) fn attach(
        &self,
        memory: &dyn ReadMemory,
        pid: u32,
        bias: u64,
    ) -> Result<(PythonProcess, Instance), AttachError> {
        let self_offset = thread_slot::self_offset(self.machine, pid);
        let self_offset = self_offset.ok_or(AttachError::NotYet("the C library has no pthread_self"))?;
        let start = match self.start {
            Start::Runtime(address) | Start::Current(address) => address.wrapping_add(bias),
        };
        let layout = Layout::of_process(self.version, self.machine, memory, start);
        let layout = layout.map_err(|error| match error {
            // It may not have begun.
            LayoutError::Silent => AttachError::NotYet("it does not describe its objects"),
            _ => AttachError::Unsupported(Unsupported(error.to_string())),
        })?;
        let (current, interpreter) = match self.start {
            Start::Runtime(_) => (
                layout.current.map(|offset| start.wrapping_add(offset.into())),
                start.wrapping_add(layout.first.into()),
            ),
            Start::Current(_) => {
                let state = memory.pointer(start).ok_or(AttachError::NotYet("no thread runs"))?;
                (Some(start), state.wrapping_add(layout.state.interpreter.into()))
            }
        };
        let interpreter = memory.pointer(interpreter).ok_or(AttachError::NotYet("it has no interpreter"))?;
        let threads = threads::of_interpreters(memory, &layout, interpreter);
        if threads.is_empty() {
            return Err(AttachError::NotYet("it has no threads"));
        }
        let slot = thread_slot::slot(memory, &threads).ok_or(AttachError::NotYet("its threads' states are nowhere"))?;
        let types = threads.iter().find_map(|thread| types_of_a_frame(memory, &layout, thread));
        let (code_type, text_type) = types.ok_or(AttachError::NotYet("no thread has a frame that can be read"))?;
        let process = PythonProcess {
            current,
            self_offset,
            slot,
            state_thread: layout.state.thread,
            state_frame: layout.state.frame,
            loop_frame: layout.state.loop_frame,
            frame_code: layout.frame.code,
            frame_back: layout.frame.back,
            frame_place: layout.frame.place,
            frame_entry: layout.frame.entry,
            code_name: layout.code.name,
            code_line: layout.code.line,
            code_first: layout.code.first,
            text_hash: layout.text.hash,
        };
        Ok((process, Instance { pid, layout, code_type, text_type }))
    }
}

impl Instance {
    /// See [`super::Assumption`]: the types of code objects and of texts, and where a process describes itself, or has its
    /// first interpreter.
    pub(super) fn assumed(version: u8, found: [u64; 3], memory: &dyn ReadMemory) -> Option<Self> {
        let [code_type, text_type, start] = found;
        let version = Version(KNOWN.start().0 + version % (KNOWN.end().0 - KNOWN.start().0 + 1));
        let layout = Layout::of_process(version, Machine::X86_64, memory, start).ok()?;
        for thread in threads::of_interpreters(memory, &layout, start) {
            let _types = types_of_a_frame(memory, &layout, &thread);
        }
        // No process has this pid.
        Some(Self { pid: 0, layout, code_type, text_type })
    }

    /// What is known of a function, by its code object, if that is the one of which `check` is.
    pub(super) fn function(&self, memory: &dyn ReadMemory, address: u64, check: u16) -> Option<CodeObject> {
        code::read(self, memory, address, check)
    }
}

/// `Py_Version`, from 3.11 on: 3.11.2 is 0x030b02f0.
fn said_version(file: &ElfFile, symbol: Export) -> Option<Version> {
    let bytes = exports::bytes(file, symbol.address, 4)?;
    let number = bytes.first_chunk()?;
    let number = u32::from_le_bytes(*number);
    (number >> 24 == 3).then_some(Version((number >> 16) as u8))
}

/// `python3.9`, `libpython3.8m.so.1.0`.
fn named_version(path: &str) -> Option<Version> {
    let (_, rest) = path.rsplit('/').next()?.split_once("python3.")?;
    let digits = rest.find(|next: char| !next.is_ascii_digit()).map_or(rest, |end| rest.get(..end).unwrap_or_default());
    digits.parse().ok().map(Version)
}

/// Frames that are looked at of a thread.
const MAX_FRAMES: usize = 32;

/// The types of code objects and of texts, as a thread's frames have them.
fn types_of_a_frame(memory: &dyn ReadMemory, layout: &Layout, thread: &Thread) -> Option<(u64, u64)> {
    let mut frame = memory.pointer(thread.state.wrapping_add(layout.state.frame.into()))?;
    if let Some(offset) = layout.state.loop_frame {
        frame = memory.pointer(frame.wrapping_add(offset.into()))?;
    }
    for _ in 0..MAX_FRAMES {
        let code = memory.pointer(frame.wrapping_add(layout.frame.code.into()))? & !7;
        if let Some(types) = types_of_code(memory, layout, code) {
            return Some(types);
        }
        frame = memory.pointer(frame.wrapping_add(layout.frame.back.into()))?;
    }
    None
}

fn types_of_code(memory: &dyn ReadMemory, layout: &Layout, code: u64) -> Option<(u64, u64)> {
    let code_type = text::type_called(memory, layout, code, "code")?;
    let texts = [Some(layout.code.name), Some(layout.code.file), layout.code.qualified].into_iter().flatten();
    let mut text_type = None;
    for offset in texts {
        let object = memory.pointer(code.wrapping_add(offset.into()))?;
        let kind = text::type_called(memory, layout, object, "str")?;
        text::read(memory, &layout.text, kind, object)?;
        text_type = Some(kind);
    }
    let table = memory.pointer(code.wrapping_add(layout.code.lines.into()))?;
    text::type_called(memory, layout, table, "bytes")?;
    Some((code_type, text_type?))
}
