//! What is mapped in a process, the tables of it, and its stack.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, elf};
use profiler_core::native::elf::ElfFile;
use profiler_core::native::unwind::{Code, Limits, PackedRule, Registers, Row, Stop, UnwindTable, Walk, walk};

use super::replay::{Mapped, ORIGINS, Replay};

/// `CFA_SIGNAL`
const SIGNAL: PackedRule = PackedRule(7);

pub(crate) struct Memory {
    pub(crate) mappings: Vec<Mapping>,
    bytes: Bytes,
}

/// Where the memory's bytes are.
enum Bytes {
    Process(File),
    /// In a core: addresses, each with the bytes from there on.
    Core(Vec<(u64, Vec<u8>)>),
}

/// An executable mapping of a file.
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// How far the file's addresses were moved.
    pub(crate) bias: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: ElfFile,
    table: UnwindTable,
}

impl Memory {
    pub(crate) fn of(pid: Pid) -> Self {
        let memory = File::open(format!("/proc/{pid}/mem")).expect("its memory");
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("its mappings");
        let mappings = maps.lines().filter_map(|line| mapping(line, &memory)).collect();
        Memory { mappings, bytes: Bytes::Process(memory) }
    }

    /// Of a core of QEMU, of a program that is linked statically at a fixed address.
    pub(crate) fn of_core(core: &[u8], program: &Path) -> Self {
        let header = elf::FileHeader64::<Endianness>::parse(core).expect("an ELF file");
        let little = Endianness::Little;
        let mut mappings = Vec::new();
        let mut parts = Vec::new();
        for segment in header.program_headers(little, core).expect("segments") {
            let (mut start, end) = (segment.p_vaddr(little), segment.p_vaddr(little) + segment.p_memsz(little));
            if segment.p_type(little) != elf::PT_LOAD {
                continue;
            }
            parts.push((start, segment.data(little, core).expect("bytes").to_vec()));
            if segment.p_flags(little) & elf::PF_X == 0 {
                continue;
            }
            let file = ElfFile::open(File::open(program).expect("the program")).expect("an ELF file");
            let is_of_program = file.executable().iter().any(|code| code.address == start);
            let mut table = UnwindTable::build(&file).expect("a table");
            let (mut bias, mut path) = (0, program.to_owned());
            if !is_of_program {
                // What QEMU puts there for signal handlers to return to: the kernel has it in its vDSO, behind an
                // instruction that belongs to it as well.
                start -= 4;
                (bias, path) = (start - table.base, "[sigreturn]".into());
                table.rows = Box::new([Row { pc: 0, rule: SIGNAL }]);
            }
            mappings.push(Mapping { start, end, bias, path, file, table });
        }
        Memory { mappings, bytes: Bytes::Core(parts) }
    }

    pub(crate) fn walk(&self, registers: Registers) -> Walk {
        self.walk_reading(registers, |address| self.word(address))
    }

    fn walk_reading(&self, registers: Registers, word: impl FnMut(u64) -> Option<u64>) -> Walk {
        let limits = Limits { frames: 512, address_mask: (1 << 48) - 1 };
        let code = |address| {
            let mapping = self.mapping(address)?;
            Some(Code { table: &mapping.table, address: address - mapping.bias })
        };
        walk(registers, limits, code, word)
    }

    /// The same by the kernel's code, which reads no other words of the memory.
    pub(crate) fn check_replay(&self, replay: &Replay, registers: Registers) {
        let read = RefCell::new(BTreeMap::new());
        let word = |address| {
            let word = self.word(address)?;
            read.borrow_mut().insert(address, word);
            Some(word)
        };
        let walk = self.walk_reading(registers, word);
        let stops: &[u64] = match walk.stop {
            Stop::End => &[0],
            Stop::NoCode => &[3],
            Stop::NoInformation | Stop::NoReturnAddress => &[4],
            Stop::Unsupported => &[5],
            Stop::Unreadable => &[6],
            Stop::Limit => &[7],
        };
        if let Some(thread_pointer) = registers.thread_pointer {
            replay.tell_thread_pointer(thread_pointer);
        }
        for origin in ORIGINS {
            let replayed = replay.walk(origin, registers, &read.borrow());
            assert_eq!(replayed.frames, walk.frames, "{:?} {:x?}", walk.stop, self.places(&walk.frames));
            assert!(stops.contains(&replayed.stop), "{:?} {replayed:x?}", walk.stop);
        }
    }

    pub(crate) fn mapped(&self) -> Vec<Mapped<'_>> {
        self.mappings
            .iter()
            .map(|Mapping { start, end, bias, table, .. }| Mapped {
                start: *start,
                end: *end,
                bias: *bias,
                table,
                of_runtime: Vec::new(),
            })
            .collect()
    }

    pub(crate) fn word(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        match &self.bytes {
            Bytes::Process(memory) => memory.read_exact_at(&mut bytes, address).ok()?,
            Bytes::Core(parts) => {
                bytes = parts.iter().find_map(|(start, part)| {
                    let from = usize::try_from(address.checked_sub(*start)?).ok()?;
                    part.get(from..)?.first_chunk().copied()
                })?
            }
        }
        Some(u64::from_le_bytes(bytes))
    }

    pub(crate) fn address_in(&self, path: &Path, address: u64) -> Option<u64> {
        let mapping = self.mapping(address).filter(|mapping| mapping.path == path)?;
        Some(address - mapping.bias)
    }

    /// Whether it is a procedure linkage table.
    pub(crate) fn is_linkage(&self, address: u64) -> bool {
        self.mapping(address).is_some_and(|mapping| {
            let mut sections = mapping.file.sections().filter(|(name, _)| name.starts_with(b".plt"));
            let address = address - mapping.bias;
            sections.any(|(_, section)| (section.address..section.address + section.size).contains(&address))
        })
    }

    /// Frames for people.
    pub(crate) fn places(&self, frames: &[u64]) -> Vec<String> {
        let place = |frame: &u64| match self.mapping(*frame) {
            Some(mapping) => format!("{}+{:x}", mapping.path.display(), frame - mapping.bias),
            None => format!("{frame:x}"),
        };
        frames.iter().map(place).collect()
    }

    fn mapping(&self, address: u64) -> Option<&Mapping> {
        self.mappings.iter().find(|mapping| (mapping.start..mapping.end).contains(&address))
    }
}

fn mapping(line: &str, memory: &File) -> Option<Mapping> {
    let mut words = line.split_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let executable = words.next()?.contains('x');
    let offset = u64::from_str_radix(words.next()?, 16).expect("an offset");
    let path = PathBuf::from(words.nth(2).unwrap_or_default());
    let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).expect("an address"));
    let file = match path.to_str()? {
        _ if !executable => return None,
        "[vdso]" => {
            let mut bytes = vec![0; usize::try_from(end - start).expect("its size")];
            memory.read_exact_at(&mut bytes, start).expect("the vDSO");
            ElfFile::in_memory(bytes)
        }
        // Code that CoreCLR makes, and what was compiled ahead for it.
        path if path.starts_with("/memfd:") || path.ends_with(".dll") => return None,
        path if path.starts_with('/') => ElfFile::open(File::open(path).expect(path)),
        _ => return None,
    };
    let file = file.expect("an ELF file");
    let table = UnwindTable::build(&file).expect("a table");
    let bias = start.wrapping_sub(file.address_of_offset(offset).expect("code"));
    Some(Mapping { start, end, bias, path, file, table })
}
