//! What stands behind a stretch of memory.

use super::super::files::{FileInfo, Found, KnownFile, TableState};
use super::super::{Shared, lock};
use super::{Follower, Mapped, bring};
use crate::kernel::FileRef;
use crate::native::elf::ElfFile;
use crate::process::{MappedMemory, Source, open_mapped, read_vdso};

impl Follower {
    pub(super) fn resolve(&mut self, shared: &Shared, pid: u32, memory: &MappedMemory) -> Mapped {
        let (found, elf) = match &memory.source {
            Source::Anonymous => (Found::NoElf, None),
            Source::Vdso => self.identify_vdso(memory),
            Source::File { device, inode, .. } => match open_mapped(pid, memory) {
                Ok(file) => self.files.identify(file),
                Err(_) => (self.files.identify_unread(*device, *inode), None),
            },
        };
        let file = match found {
            Found::NoElf => return Mapped::Anonymous,
            Found::Known(file) => file,
            Found::New(file) => {
                let path = if let Source::File { path, .. } = &memory.source { path } else { FileInfo::VDSO };
                let id = self.files.get(file).and_then(KnownFile::id);
                let info = FileInfo {
                    path: path.to_owned(),
                    id,
                    build_id: elf.as_ref().and_then(|elf| elf.build_id().cloned()),
                    segments: elf.as_ref().map(|elf| elf.executable().into()).unwrap_or_default(),
                };
                lock(&shared.names).insert(file, info);
                file
            }
        };
        let offset = if let Source::File { offset, .. } = memory.source { offset } else { 0 };
        self.locate(pid, memory, file, offset, elf).unwrap_or(Mapped::Anonymous)
    }

    /// It is in each process, and the same in all of one size.
    fn identify_vdso(&mut self, memory: &MappedMemory) -> (Found, Option<ElfFile>) {
        let size = memory.end.saturating_sub(memory.start);
        if let Some((known_size, file)) = self.vdso
            && known_size == size
            && self.files.get(file).is_some_and(|known| !matches!(known.table, TableState::Wanted))
        {
            return (Found::Known(file), None);
        }
        let elf = read_vdso(memory).ok().and_then(|bytes| ElfFile::in_memory(bytes).ok());
        let (found, elf) = match elf {
            Some(elf) => self.files.identify_elf(elf),
            None => (self.files.identify_unread((0, 0), 0), None),
        };
        if let Found::Known(file) | Found::New(file) = found {
            self.vdso = Some((size, file));
        }
        (found, elf)
    }

    /// Where in the file's own addresses the memory begins; asks for the file's table where nobody did.
    fn locate(
        &mut self,
        pid: u32,
        memory: &MappedMemory,
        file: FileRef,
        offset: u64,
        elf: Option<ElfFile>,
    ) -> Option<Mapped> {
        let known = self.files.get_mut(file)?;
        if known.id().is_none() {
            return Some(Mapped::File { file, bias: memory.start.wrapping_sub(offset) });
        }
        let wanted = matches!(known.table, TableState::Wanted);
        let elf = match known.address_of(offset, elf.as_ref()) {
            Some(_) if !wanted => None,
            _ => elf.or_else(|| ElfFile::open(open_mapped(pid, memory).ok()?).ok()),
        };
        let address = known.address_of(offset, elf.as_ref())??;
        if wanted
            && let Some(elf) = elf
            && self.maker.ask(file, elf, || bring::origin(pid, memory))
        {
            known.table = TableState::Pending;
        }
        Some(Mapped::File { file, bias: memory.start.wrapping_sub(address) })
    }
}
