//! Who knows the names of frames.

use std::sync::Arc;

use crate::kernel::{FileRef, Frame};
use crate::sampler::{FileInfo, Sampler};
use crate::symbolizer::{Function, Symbolizer};

/// The function of frames of which nothing is known, and their file.
pub const UNKNOWN: &str = "[unknown]";

/// Names files and functions. Of several functions at one place, inlined into each other, the innermost comes first;
/// where none is known, none.
pub trait Names {
    /// The file that frames name.
    fn file(&self, file: FileRef) -> Option<Arc<FileInfo>>;

    /// The functions at an address in a file.
    fn in_file(&self, file: &FileInfo, address: u64, each: &mut dyn FnMut(Function<'_>));

    /// The functions at an address in memory that the process itself wrote.
    fn in_memory(&self, pid: u32, address: u64, each: &mut dyn FnMut(Function<'_>));

    /// The functions of a runtime that a process' frame stands for.
    fn in_runtime(&self, pid: u32, frame: &Frame, each: &mut dyn FnMut(Function<'_>));

    /// The function at an address in the kernel.
    fn in_kernel(&self, address: u64, each: &mut dyn FnMut(Function<'_>));
}

/// The files of a sampler, and the names that a symbolizer knows; without one, none.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Who met the files.
    pub sampler: &'a Sampler,
    /// Who knows their functions.
    pub symbolizer: Option<&'a Symbolizer>,
}

impl Names for Known<'_> {
    fn file(&self, file: FileRef) -> Option<Arc<FileInfo>> {
        self.sampler.file(file)
    }

    fn in_file(&self, file: &FileInfo, address: u64, each: &mut dyn FnMut(Function<'_>)) {
        if let (Some(symbolizer), Some(id)) = (self.symbolizer, file.id) {
            symbolizer.user(id, address, each);
        }
    }

    fn in_memory(&self, pid: u32, address: u64, each: &mut dyn FnMut(Function<'_>)) {
        if let Some(symbolizer) = self.symbolizer {
            symbolizer.perf_map(pid, address, |name| each(of_name(name, "")));
        }
    }

    fn in_runtime(&self, pid: u32, frame: &Frame, each: &mut dyn FnMut(Function<'_>)) {
        self.sampler.functions(pid, frame, each);
    }

    fn in_kernel(&self, address: u64, each: &mut dyn FnMut(Function<'_>)) {
        if let Some(symbolizer) = self.symbolizer {
            symbolizer.kernel(address, |name, module| each(of_name(name, module.unwrap_or_default())));
        }
    }
}

/// A function of which no more is known than its name and file.
pub(super) fn of_name<'a>(name: &'a str, file: &'a str) -> Function<'a> {
    Function { name, system_name: name, file, line: 0, start_line: 0 }
}
