//! The same stack as framehop walks it.

use framehop::{ExplicitModuleSectionInfo, MayAllocateDuringUnwind, Module, Unwinder};
use profiler_core::native::elf::ElfFile;
use profiler_core::native::unwind::Registers;

use super::memory::{Mapping, Memory};

#[cfg(target_arch = "aarch64")]
use framehop::aarch64::{CacheAarch64 as Cache, UnwindRegsAarch64, UnwinderAarch64};
#[cfg(target_arch = "x86_64")]
use framehop::x86_64::{CacheX86_64 as Cache, UnwindRegsX86_64, UnwinderX86_64};

#[cfg(target_arch = "aarch64")]
type Native = UnwinderAarch64<Vec<u8>, MayAllocateDuringUnwind>;
#[cfg(target_arch = "x86_64")]
type Native = UnwinderX86_64<Vec<u8>, MayAllocateDuringUnwind>;

pub(crate) struct Oracle(Native);

impl Oracle {
    pub(crate) fn new(memory: &Memory) -> Self {
        let mut unwinder = Native::new();
        for mapping in &memory.mappings {
            unwinder.add_module(module(mapping));
        }
        Oracle(unwinder)
    }

    pub(crate) fn walk(&self, memory: &Memory, registers: Registers) -> Vec<u64> {
        let mut cache = Cache::<MayAllocateDuringUnwind>::new_in();
        let mut word = |address| memory.word(address).ok_or(());
        let mut frames = self.0.iter_frames(registers.ip, native(registers), &mut cache, &mut word);
        let mut addresses = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            addresses.push(frame.address());
        }
        addresses
    }
}

#[cfg(target_arch = "x86_64")]
fn native(registers: Registers) -> UnwindRegsX86_64 {
    UnwindRegsX86_64::new(registers.ip, registers.sp, registers.fp)
}

#[cfg(target_arch = "aarch64")]
fn native(registers: Registers) -> UnwindRegsAarch64 {
    UnwindRegsAarch64::new(registers.lr.unwrap_or_default(), registers.sp, registers.fp)
}

fn module(mapping: &Mapping) -> Module<Vec<u8>> {
    let file = &mapping.file;
    let range = |name| file.section(name).map(|section| section.address..section.address + section.size);
    let sections = ExplicitModuleSectionInfo {
        base_svma: 0,
        text_svma: range(".text"),
        got_svma: range(".got"),
        eh_frame_svma: range(".eh_frame"),
        eh_frame: bytes(file, ".eh_frame"),
        debug_frame: bytes(file, ".debug_frame"),
        ..Default::default()
    };
    Module::new(mapping.path.display().to_string(), mapping.start..mapping.end, mapping.bias, sections)
}

fn bytes(file: &ElfFile, name: &str) -> Option<Vec<u8>> {
    let section = file.section(name)?;
    Some(file.section_bytes(section, 1 << 28).expect("a section"))
}
