//! PHP, 7.4 to 8.4, of builds without threads: the command line's, FPM's and those that are embedded.
//!
//! A file of it is known by its symbols, and says its version in a header that it sends. Where things are in a function
//! follows from the version. Before frames are walked, the first functions that PHP knows must be called as it knows them, and
//! frames that are there must be what frames are.

use std::ops::Range;

use crate::kernel::PhpProcess;
use crate::native::elf::ElfFile;

use super::assumed::one_of;
use super::memory::ReadMemory;
use super::{AttachError, Unsupported, eval_loop, exports};
use layout::{Layout, Version};
use loop_frame::InFile;

pub(super) use functions::PhpFunction;

mod functions;
mod layout;
mod loop_frame;
mod objects;

/// What is known of a file; addresses are those of the file.
#[derive(Debug)]
pub(super) struct FileData {
    version: Version,
    layout: Layout,
    /// The interpreter's loop, and what was moved out of it.
    pub(super) loop_code: Vec<Range<u64>>,
    /// The segment of the loop.
    text: Range<u64>,
    /// What code that is made leaves the loop by.
    loop_frame: Option<InFile>,
    /// `executor_globals`
    globals: u64,
}

/// What is known of a process.
#[derive(Debug)]
pub(super) struct Instance {
    layout: Layout,
}

impl FileData {
    /// None of a file that is nothing of PHP's.
    pub(super) fn recognise(file: &ElfFile, path: &str) -> Result<Option<Self>, Unsupported> {
        let names = ["execute_ex", "zend_call_function", "executor_globals", "executor_globals_offset"];
        let [Some(function), Some(_), globals, of_thread] = exports::find(file, names) else { return Ok(None) };
        let version = layout::version(file)
            .ok_or_else(|| Unsupported(format!("{path}: PHP of a version that cannot be told")))?;
        if of_thread.is_some() {
            return Err(Unsupported(format!("{path}: PHP {version} with threads (ZTS) is not known")));
        }
        let globals = globals.ok_or_else(|| Unsupported(format!("{path}: PHP {version} has no executor_globals")))?;
        let layout = Layout::of(version).ok_or_else(|| Unsupported(format!("{path}: PHP {version} is not known")))?;
        if function.size == 0 {
            return Err(Unsupported(format!("{path}: the loop of PHP {version} is not known")));
        }
        let text = file.executable().iter().find(|text| text.contains(function.address));
        let text = text.map(|text| text.address..text.end()).unwrap_or_default();
        Ok(Some(Self {
            version,
            layout,
            loop_code: eval_loop::code(file, function),
            text,
            loop_frame: if version.makes_code() { loop_frame::find(file, function) } else { None },
            globals: globals.address,
        }))
    }

    pub(super) fn name(&self) -> String {
        format!("PHP {}", self.version)
    }

    /// Finds everything in a process, in which the file's addresses are moved by `bias`.
    pub(super) fn attach(&self, memory: &dyn ReadMemory, bias: u64) -> Result<(PhpProcess, Instance), AttachError> {
        let layout = self.layout;
        let globals = self.globals.wrapping_add(bias);
        if !functions::knows_its_own(memory, globals) {
            return Err(AttachError::NotYet("it knows no functions"));
        }
        let current = globals.wrapping_add(layout::CURRENT_FRAME);
        let innermost = memory.word(current).ok_or(AttachError::NotYet("its frames cannot be read"))?;
        if !functions::are_frames(memory, &layout, innermost) {
            return Err(AttachError::NotYet("its frames are not where this version has them"));
        }
        let process = PhpProcess {
            current,
            text: self.text.start.wrapping_add(bias)..self.text.end.wrapping_add(bias),
            made: self.loop_frame.map(|frame| frame.moved(bias)),
            function_first: layout.first,
            function_count: layout.count,
            function_file: layout.file,
            function_line: layout.line,
        };
        Ok((process, Instance { layout }))
    }
}

impl Instance {
    /// See [`super::Assumption`]: the globals, and the innermost frame.
    pub(super) fn assumed(version: u8, found: [u64; 3], memory: &dyn ReadMemory) -> Option<Self> {
        let layout = Layout::of(one_of(&Version::KNOWN, version)?)?;
        let [globals, innermost, _] = found;
        let _knows = functions::knows_its_own(memory, globals);
        let _frames = functions::are_frames(memory, &layout, innermost);
        Some(Self { layout })
    }

    /// What is known of a function, if it is the one of which `check` is.
    pub(super) fn function(&self, memory: &dyn ReadMemory, address: u64, check: u16) -> Option<PhpFunction> {
        functions::read(memory, &self.layout, address, check)
    }
}
