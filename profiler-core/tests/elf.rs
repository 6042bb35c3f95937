//! Files that are read, and files that are refused.

#![allow(clippy::expect_used, reason = "what a test's own functions cannot do fails the test")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use profiler_core::native::elf::{BuildId, ElfError, ElfFile, Machine};
use profiler_core::native::unwind::{Cfa, UnwindError, UnwindTable};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/native").join(name)
}

fn bytes() -> Vec<u8> {
    fs::read(path("compiled-x86_64.elf")).expect("a file")
}

#[test]
fn says_what_a_file_is() {
    let file = ElfFile::open(File::open(path("compiled-x86_64.elf")).expect("a file")).expect("an ELF file");
    assert_eq!(file.machine(), Machine::X86_64);
    let build_id = file.build_id().map(ToString::to_string);
    assert_eq!(build_id.as_deref(), Some("a9330add96e4365f04c398b58c5d57774b0e3814"));
    let [code] = file.executable() else { panic!("{:?}", file.executable()) };
    assert_eq!((code.address, code.offset), (0x1480, 0x480));
    // A mapping begins with its page.
    assert_eq!(file.address_of_offset(0), Some(0x1000));
    assert_eq!(file.address_of_offset(0x490), Some(0x1490));
    assert_eq!(file.address_of_offset(1 << 20), None);
    assert!(file.section(".eh_frame").is_some() && file.section(".symtab").is_none());
}

/// Whoever opens a file from memory reads the same.
#[test]
fn files_are_told_apart_by_what_is_in_them() {
    let opened = ElfFile::open(File::open(path("compiled-x86_64.elf")).expect("a file")).expect("an ELF file");
    assert_eq!(ElfFile::in_memory(bytes()).expect("an ELF file").id(), opened.id());
    let longer = [bytes(), vec![0]].concat();
    let longer = ElfFile::in_memory(longer).expect("an ELF file");
    assert_ne!(longer.id(), opened.id());
    assert_eq!(longer.build_id(), opened.build_id());
}

/// What is changed in the file, and what is said.
#[test]
fn what_is_wrong_is_said() {
    let cases: [(usize, &[u8], &str); 10] = [
        (0, b"\x7fBAD", "is not an ELF file"),
        (4, &[1], "the class is 1, expected 2 (64 bits)"),
        (5, &[2], "the order of bytes is 2, expected 1 (little-endian)"),
        (16, &[1], "the type is 1, expected 2 (executable) or 3 (shared)"),
        (18, &[40], "the machine is 40, expected 62 (x86_64) or 183 (aarch64)"),
        (32, &[0xff; 8], "is damaged or cut off: the program headers is"),
        (40, &[0xff, 0xff, 0xff], "is damaged or cut off: the sections is"),
        (54, &[57], "the size of a program header is 57"),
        (58, &[63], "the size of a section header is 63"),
        (56, &[0, 0x20], "has too much of program headers: 8192, at most 4096 are read"),
    ];
    for (at, changed, expected) in cases {
        let mut bytes = bytes();
        bytes[at..at + changed.len()].copy_from_slice(changed);
        let error = ElfFile::in_memory(bytes).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}, expected {expected}");
    }
}

#[test]
fn what_is_cut_off_is_refused_wherever_it_is_cut() {
    let whole = bytes();
    for length in 0..whole.len() {
        let Ok(file) = ElfFile::in_memory(whole[..length].to_vec()) else { continue };
        panic!("{length} of {} bytes are read: {file:?}", whole.len());
    }
}

#[test]
fn more_code_than_is_searched_is_refused() {
    let mut bytes = bytes();
    let offset = u64::try_from(bytes.len()).expect("its length");
    bytes[32..40].copy_from_slice(&offset.to_le_bytes());
    bytes[56..58].copy_from_slice(&[65, 0]);
    let header = [&1_u32.to_le_bytes()[..], &5_u32.to_le_bytes(), &[0; 48]].concat();
    bytes.extend(header.repeat(65));
    let error = ElfFile::in_memory(bytes).expect_err("too many").to_string();
    assert_eq!(error, "has too much of executable segments: 65, at most 64 are read");
}

#[test]
fn what_is_no_file_is_refused() {
    let folder = File::open(env!("CARGO_MANIFEST_DIR")).expect("a folder");
    assert!(matches!(ElfFile::open(folder), Err(ElfError::NotRegular)));
}

#[test]
fn code_that_rows_cannot_address_is_refused() {
    let mut bytes = bytes();
    // The size in the file of the executable segment, in the program header that has these flags.
    let headers = 64..64 + 56 * usize::from(bytes[56]);
    let executable = headers.step_by(56).find(|at| bytes[*at] == 1 && bytes[at + 4] == 5).expect("code");
    bytes[executable + 32..executable + 40].copy_from_slice(&(5_u64 << 30).to_le_bytes());
    let file = ElfFile::in_memory(bytes).expect("an ELF file");
    assert!(matches!(UnwindTable::build(&file), Err(UnwindError::TooLong { .. })));
}

/// No file holds it; it is an ELF file all the same.
#[test]
fn the_vdso_is_read_from_memory() {
    use std::os::unix::fs::FileExt;

    let maps = fs::read_to_string("/proc/self/maps").expect("mappings");
    let line = maps.lines().find(|line| line.ends_with("[vdso]")).expect("a vDSO");
    let (start, end) = line.split_whitespace().next().and_then(|range| range.split_once('-')).expect("a range");
    let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).expect("an address"));
    let mut bytes = vec![0; usize::try_from(end - start).expect("its size")];
    File::open("/proc/self/mem").and_then(|memory| memory.read_exact_at(&mut bytes, start)).expect("its bytes");

    let file = ElfFile::in_memory(bytes).expect("an ELF file");
    assert!(matches!(file.build_id(), Some(BuildId::Gnu(_))));
    let table = UnwindTable::build(&file).expect("a table");
    assert_ne!(table.rule(table.base + u64::from(table.rows[0].pc)).cfa, Cfa::None);
}
