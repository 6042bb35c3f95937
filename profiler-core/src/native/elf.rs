//! Opening an ELF file: what it is, where its sections are, and which address a place in the file gets.
//!
//! Files are read and never mapped: a file that is truncated under a mapping kills the process.

use std::fs::File;

use object::LittleEndian;
use object::elf::{
    ELFCLASS64, ELFDATA2LSB, ELFMAG, EM_AARCH64, EM_X86_64, ET_DYN, ET_EXEC, FileHeader64, PF_X, PT_LOAD, PT_NOTE,
    ProgramHeader64, SHF_COMPRESSED, SHN_XINDEX, SHT_NOBITS, SectionHeader64,
};

use source::Source;

pub use identity::{BuildId, FileId};

mod compressed;
mod identity;
mod source;

/// Most sections of a file: as many as the header can say without its extension.
const MAX_SECTIONS: u64 = 64 << 10;
/// Most program headers; linkers write about a dozen.
const MAX_SEGMENTS: u64 = 4 << 10;
/// Most executable segments, which are searched one after the other; linkers write one or two.
const MAX_CODE: u64 = 64;
/// Most bytes of the table that holds the sections' names.
const MAX_NAMES: u64 = 16 << 20;
/// Longest name of a section, in bytes.
const MAX_NAME: usize = 4 << 10;
/// The largest pages that Linux maps files in, in bytes: segments begin anywhere in theirs.
const MAX_PAGE: u64 = 64 << 10;
const ENDIAN: LittleEndian = LittleEndian;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// The operating system would not read it.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// A directory, a pipe, a device.
    #[error("is not a regular file")]
    NotRegular,
    /// It does not begin as ELF files do.
    #[error("is not an ELF file")]
    NotElf,
    /// An ELF file of a sort that is not read here.
    #[error("is an ELF file of a sort that cannot be read: {what} is {value}, expected {expected}")]
    Unsupported {
        /// Which field of the header.
        what: &'static str,
        /// What stands there.
        value: u64,
        /// What can be read.
        expected: &'static str,
    },
    /// It says that something is where the file has ended.
    #[error("is damaged or cut off: {what} is {size} bytes at {offset:#x}, the file has {length} bytes")]
    OutOfFile {
        /// What is meant to be there.
        what: &'static str,
        /// Where, in bytes from the beginning of the file.
        offset: u64,
        /// In bytes.
        size: u64,
        /// The whole file, in bytes.
        length: u64,
    },
    /// It has more of something than is read.
    #[error("has too much of {what}: {size}, at most {limit} are read")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// As much as the file says.
        size: u64,
        /// Most that is read.
        limit: u64,
    },
    /// A section is compressed in a way that is not known, or is no compressed section at all.
    #[error("has a compressed section that cannot be read: {0}")]
    Compressed(&'static str),
}

/// The processors whose code can be walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// AMD64.
    X86_64,
    /// ARM, 64 bits.
    Aarch64,
}

/// A part of the file that is executable in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Where it is in the file, in bytes.
    pub offset: u64,
    /// Its address, before the file is moved to where it is loaded.
    pub address: u64,
    /// How much of it is in the file, in bytes.
    pub size: u64,
}

impl Segment {
    /// The address after its last, and the greatest of all where it would lie beyond.
    pub fn end(&self) -> u64 {
        self.address.saturating_add(self.size)
    }

    /// Whether the address lies in it.
    pub fn contains(&self, address: u64) -> bool {
        (self.address..self.end()).contains(&address)
    }
}

/// A section, as the file describes it: nothing says that it is really there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section {
    /// Its address, or zero where it is not loaded.
    pub address: u64,
    /// Where it is in the file, in bytes.
    pub offset: u64,
    /// In the file, in bytes.
    pub size: u64,
    /// `SHT_…`
    pub kind: u32,
    /// `SHF_…`
    pub flags: u64,
    /// The section that belongs to it: a symbol table's strings.
    pub link: u32,
    name: u32,
}

/// An executable or a library.
#[derive(Debug)]
pub struct ElfFile {
    source: Source,
    machine: Machine,
    segments: Box<[Segment]>,
    sections: Box<[Section]>,
    names: Vec<u8>,
    build_id: Option<BuildId>,
    id: FileId,
}

impl ElfFile {
    /// Reads headers and identity.
    ///
    /// # Errors
    /// The file is no executable or library for a processor that is known, or is damaged.
    pub fn open(file: File) -> Result<Self, ElfError> {
        Self::read(Source::file(file)?)
    }

    /// Reads what is in memory as a file would be: the vDSO, which no file holds.
    ///
    /// # Errors
    /// As [`ElfFile::open`].
    pub fn in_memory(bytes: Vec<u8>) -> Result<Self, ElfError> {
        Self::read(Source::memory(bytes))
    }

    /// The processor that its code is for.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// What tells it from all other files.
    pub fn id(&self) -> FileId {
        self.id
    }

    /// What its linker called it, for finding its symbols elsewhere.
    pub fn build_id(&self) -> Option<&BuildId> {
        self.build_id.as_ref()
    }

    /// Its executable segments, in the order of the file.
    pub fn executable(&self) -> &[Segment] {
        &self.segments
    }

    /// The address that code gets which stands at a place in the file, in bytes. The place may be in the page in
    /// which an executable segment begins, before it: mappings begin there.
    pub fn address_of_offset(&self, offset: u64) -> Option<u64> {
        let inside = |segment: &&Segment| offset >= segment.offset && offset - segment.offset < segment.size;
        let before = |segment: &&Segment| offset < segment.offset && segment.offset - offset < MAX_PAGE;
        let segment = self.segments.iter().find(inside).or_else(|| self.segments.iter().find(before))?;
        Some(segment.address.wrapping_add(offset).wrapping_sub(segment.offset))
    }

    /// The first section of that name that has bytes in the file.
    pub fn section(&self, name: &str) -> Option<&Section> {
        // Not by whole names: a file can say that thousands of sections have one long name.
        let is_called = |section: &&Section| {
            let rest = self.name_from(section).strip_prefix(name.as_bytes());
            rest.is_some_and(|rest| rest.first() == Some(&0))
        };
        self.sections.iter().filter(|section| section.kind != SHT_NOBITS).find(is_called)
    }

    /// All sections with their names, in the order of the file. A name that is longer than 4 KiB, or lies outside of
    /// the table of names, is empty.
    pub fn sections(&self) -> impl Iterator<Item = (&[u8], &Section)> {
        self.sections.iter().map(|section| (self.name(section), section))
    }

    /// The section at that place among all, as [`Section::link`] says it.
    pub fn section_at(&self, place: u32) -> Option<&Section> {
        self.sections.get(usize::try_from(place).ok()?)
    }

    /// What is in a section, decompressed.
    ///
    /// # Errors
    /// It is not in the file, has more bytes than `limit`, or is compressed in a way that is not known.
    pub fn section_bytes(&self, section: &Section, limit: u64) -> Result<Vec<u8>, ElfError> {
        let bytes = self.source.read("a section", section.offset, section.size, limit)?;
        if section.flags & u64::from(SHF_COMPRESSED) == 0 {
            return Ok(bytes);
        }
        compressed::decompress(&bytes, limit)
    }

    /// Bytes of a segment, fewer than `limit` where it ends before.
    ///
    /// # Errors
    /// The address is in no executable segment, or that is not in the file.
    pub fn code(&self, address: u64, limit: u64) -> Result<Vec<u8>, ElfError> {
        let outside = ElfError::OutOfFile { what: "code", offset: address, size: limit, length: self.source.length() };
        let segment = self.segments.iter().find(|segment| segment.contains(address)).ok_or(outside)?;
        let size = (segment.end() - address).min(limit);
        let offset = segment.offset.saturating_add(address - segment.address);
        self.source.read("code", offset, size, limit)
    }

    fn read(source: Source) -> Result<Self, ElfError> {
        let header = header(&source)?;
        let machine = machine(&header)?;
        let first = first_section(&source, &header)?;
        let programs = program_headers(&source, &header, first.as_ref())?;
        let (sections, names) = sections(&source, &header, first.as_ref())?;
        let segments: Box<[Segment]> = programs.iter().filter(|program| is_code(program)).map(segment).collect();
        check_count("executable segments", segments.len().try_into().unwrap_or(u64::MAX), MAX_CODE)?;
        let mut file = ElfFile { machine, segments, sections, names, build_id: None, id: FileId([0; 16]), source };
        let notes = programs.iter().filter(|program| program.p_type.get(ENDIAN) == PT_NOTE);
        file.build_id = identity::build_id(&file, notes.map(segment));
        file.id = identity::file_id(&file.source, file.build_id.as_ref())?;
        Ok(file)
    }

    fn name(&self, section: &Section) -> &[u8] {
        let rest = self.name_from(section);
        let end = rest.iter().take(MAX_NAME + 1).position(|byte| *byte == 0);
        end.and_then(|end| rest.get(..end)).unwrap_or_default()
    }

    /// The table of names from the section's on.
    fn name_from(&self, section: &Section) -> &[u8] {
        let from = usize::try_from(section.name).unwrap_or(usize::MAX);
        self.names.get(from..).unwrap_or_default()
    }
}

fn header(source: &Source) -> Result<FileHeader64<LittleEndian>, ElfError> {
    let Some([header]) = source.structures::<FileHeader64<LittleEndian>>("the header", 0, 1).ok().and_then(only) else {
        return Err(ElfError::NotElf);
    };
    if header.e_ident.magic != ELFMAG {
        return Err(ElfError::NotElf);
    }
    Ok(header)
}

fn only<T>(list: Vec<T>) -> Option<[T; 1]> {
    list.try_into().ok()
}

fn machine(header: &FileHeader64<LittleEndian>) -> Result<Machine, ElfError> {
    let unsupported = |what, value, expected| Err(ElfError::Unsupported { what, value, expected });
    if header.e_ident.class != ELFCLASS64 {
        return unsupported("the class", header.e_ident.class.into(), "2 (64 bits)");
    }
    if header.e_ident.data != ELFDATA2LSB {
        return unsupported("the order of bytes", header.e_ident.data.into(), "1 (little-endian)");
    }
    if ![ET_EXEC, ET_DYN].contains(&header.e_type.get(ENDIAN)) {
        return unsupported("the type", header.e_type.get(ENDIAN).into(), "2 (executable) or 3 (shared)");
    }
    match header.e_machine.get(ENDIAN) {
        EM_X86_64 => Ok(Machine::X86_64),
        EM_AARCH64 => Ok(Machine::Aarch64),
        other => unsupported("the machine", other.into(), "62 (x86_64) or 183 (aarch64)"),
    }
}

type SectionHeader = SectionHeader64<LittleEndian>;
type ProgramHeader = ProgramHeader64<LittleEndian>;

/// The first section says what does not fit into the header: how many sections and segments there are.
fn first_section(source: &Source, header: &FileHeader64<LittleEndian>) -> Result<Option<SectionHeader>, ElfError> {
    let offset = header.e_shoff.get(ENDIAN);
    if offset == 0 {
        return Ok(None);
    }
    check_size("the size of a section header", header.e_shentsize.get(ENDIAN), size_of::<SectionHeader>())?;
    Ok(source.structures("the sections", offset, 1)?.pop())
}

fn program_headers(
    source: &Source,
    header: &FileHeader64<LittleEndian>,
    first: Option<&SectionHeader>,
) -> Result<Vec<ProgramHeader>, ElfError> {
    const IN_FIRST_SECTION: u16 = 0xffff;
    let count = match (header.e_phnum.get(ENDIAN), first) {
        (IN_FIRST_SECTION, Some(first)) => first.sh_info.get(ENDIAN).into(),
        (count, _) => count.into(),
    };
    if count == 0 {
        return Ok(Vec::new());
    }
    check_size("the size of a program header", header.e_phentsize.get(ENDIAN), size_of::<ProgramHeader>())?;
    check_count("program headers", count, MAX_SEGMENTS)?;
    source.structures("the program headers", header.e_phoff.get(ENDIAN), count)
}

fn sections(
    source: &Source,
    header: &FileHeader64<LittleEndian>,
    first: Option<&SectionHeader>,
) -> Result<(Box<[Section]>, Vec<u8>), ElfError> {
    let Some(first) = first else { return Ok((Box::default(), Vec::new())) };
    let count = match header.e_shnum.get(ENDIAN) {
        0 => first.sh_size.get(ENDIAN),
        count => count.into(),
    };
    check_count("sections", count, MAX_SECTIONS)?;
    let headers: Vec<SectionHeader> = source.structures("the sections", header.e_shoff.get(ENDIAN), count)?;
    let sections: Box<[Section]> = headers.iter().map(section).collect();
    let names = match header.e_shstrndx.get(ENDIAN) {
        SHN_XINDEX => first.sh_link.get(ENDIAN),
        place => place.into(),
    };
    // Place 0 is no section: nothing has a name then.
    let names = usize::try_from(names).ok().filter(|place| *place > 0).and_then(|place| sections.get(place));
    let names = match names.filter(|names| names.kind != SHT_NOBITS) {
        Some(names) => source.read("the names of sections", names.offset, names.size, MAX_NAMES)?,
        None => Vec::new(),
    };
    Ok((sections, names))
}

fn check_size(what: &'static str, found: u16, expected: usize) -> Result<(), ElfError> {
    if usize::from(found) == expected {
        return Ok(());
    }
    Err(ElfError::Unsupported { what, value: found.into(), expected: "what the format says for 64 bits" })
}

fn check_count(what: &'static str, size: u64, limit: u64) -> Result<(), ElfError> {
    if size <= limit { Ok(()) } else { Err(ElfError::TooLarge { what, size, limit }) }
}

fn is_code(program: &ProgramHeader) -> bool {
    program.p_type.get(ENDIAN) == PT_LOAD && program.p_flags.get(ENDIAN) & PF_X != 0
}

fn segment(program: &ProgramHeader) -> Segment {
    Segment {
        offset: program.p_offset.get(ENDIAN),
        address: program.p_vaddr.get(ENDIAN),
        size: program.p_filesz.get(ENDIAN),
    }
}

fn section(header: &SectionHeader) -> Section {
    Section {
        address: header.sh_addr.get(ENDIAN),
        offset: header.sh_offset.get(ENDIAN),
        size: header.sh_size.get(ENDIAN),
        kind: header.sh_type.get(ENDIAN),
        flags: header.sh_flags.get(ENDIAN),
        link: header.sh_link.get(ENDIAN),
        name: header.sh_name.get(ENDIAN),
    }
}
