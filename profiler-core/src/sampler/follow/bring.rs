//! Files whose names are asked for are brought to who makes tables of symbols.

use super::super::files::FileInfo;
use super::{Follower, Mapped};
use crate::native::elf::{ElfFile, FileId};
use crate::process::{MappedMemory, Root, Source, open_mapped, read_vdso};
use crate::symbolizer::Origin;

/// Files that are opened at once: samples wait for it.
const MAX_BROUGHT: usize = 16;

impl Follower {
    /// Tables may have been removed, or too many files have waited when one was first seen.
    pub(super) fn bring_wanted(&self) {
        let Some(symbolizer) = &self.symbolizer else { return };
        for id in symbolizer.wanted(MAX_BROUGHT) {
            // Nobody may have it mapped any more.
            if let Some((file, origin)) = self.open_again(id) {
                symbolizer.offer(file, origin);
            }
        }
    }

    fn open_again(&self, id: FileId) -> Option<(ElfFile, Origin)> {
        let wanted = self.files.with_content(id)?;
        let has_it = |mapped: &Mapped| matches!(mapped, Mapped::File { file, .. } if *file == wanted);
        let (pid, memory) = self.processes.iter().find_map(|(pid, process)| {
            let place = process.contents.iter().position(has_it)?;
            Some((*pid, process.memory.get(place)?))
        })?;
        let file = match &memory.source {
            Source::Vdso => ElfFile::in_memory(read_vdso(memory).ok()?).ok()?,
            _ => ElfFile::open(open_mapped(pid, memory).ok()?).ok()?,
        };
        (file.id() == id).then(|| (file, origin(pid, memory)))
    }
}

/// Where the file behind some memory comes from.
pub(super) fn origin(pid: u32, memory: &MappedMemory) -> Origin {
    let path = if let Source::File { path, .. } = &memory.source { path } else { FileInfo::VDSO };
    Origin { root: Root::of(pid).ok(), path: path.to_owned() }
}
