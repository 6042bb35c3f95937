//! Who knows the names of frames.

use std::sync::Arc;

use crate::kernel::FileRef;
use crate::sampler::{FileInfo, Sampler};

/// The function of frames of which nothing is known, and their file.
pub const UNKNOWN: &str = "[unknown]";

/// A function at a place in the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Function<'a> {
    /// For people.
    pub name: &'a str,
    /// As the file has it; empty where it is the same.
    pub system_name: &'a str,
    /// The source file; empty where it is not known.
    pub file: &'a str,
    /// The line in it; 0 where it is not known.
    pub line: u32,
    /// The function's first line; 0 where it is not known.
    pub start_line: u32,
}

/// Names files and functions. Of several functions at one place, inlined into each other, the innermost comes first;
/// where none is known, none.
pub trait Names {
    /// The file that frames name.
    fn file(&self, file: FileRef) -> Option<Arc<FileInfo>>;

    /// The functions at an address in a file.
    fn in_file(&self, file: &FileInfo, address: u64, each: &mut dyn FnMut(Function<'_>)) {
        let _ = (file, address, each);
    }

    /// The functions at an address in memory that the process itself wrote.
    fn in_memory(&self, pid: u32, address: u64, each: &mut dyn FnMut(Function<'_>)) {
        let _ = (pid, address, each);
    }

    /// The function at an address in the kernel.
    fn in_kernel(&self, address: u64, each: &mut dyn FnMut(Function<'_>)) {
        let _ = (address, each);
    }
}

/// Files alone.
impl Names for Sampler {
    fn file(&self, file: FileRef) -> Option<Arc<FileInfo>> {
        Self::file(self, file)
    }
}
