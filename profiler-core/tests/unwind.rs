//! Tables of files whose every row is known, and of files that this machine has.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's own functions cannot do fails the test"
)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

#[cfg(target_arch = "aarch64")]
use gimli::AArch64;
#[cfg(target_arch = "x86_64")]
use gimli::X86_64;
use gimli::{
    BaseAddresses, CfaRule, CieOrFde, EhFrame, LittleEndian, Register, RegisterRule, UnwindContext, UnwindSection,
};
use profiler_core::native::elf::ElfFile;
use profiler_core::native::unwind::{Cfa, Code, FramePointer, Limits, Registers, Row, Rule, Stop, UnwindTable, walk};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/native")
}

fn open(path: &Path) -> ElfFile {
    ElfFile::open(File::open(path).expect("a file")).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each row as a line: where it begins, and its rule.
fn lines(table: &UnwindTable) -> String {
    let line = |row: &Row| {
        let address = table.base + u64::from(row.pc);
        let Rule { cfa, frame_pointer, return_address } = table.rule(address);
        let place = row.rule.index().map_or(String::new(), |index| format!(" (rule {index})"));
        format!("{address:x} {cfa:?} {frame_pointer:?} {return_address:?}{place}\n")
    };
    let signed = if table.signed_return_addresses { "return addresses are signed\n" } else { "" };
    format!("{signed}{}{:?}\n", table.rows.iter().map(line).collect::<String>(), table.stats)
}

#[test]
fn rows_are_as_written_down() {
    for name in ["compiled-x86_64", "compiled-aarch64", "described-x86_64"] {
        let table = UnwindTable::build(&open(&folder().join(name).with_extension("elf"))).expect("a table");
        let expected = fs::read_to_string(folder().join(name).with_extension("rows")).expect("rows");
        assert_eq!(lines(&table), expected, "{name}");
    }
}

/// A common part that cannot be read costs its functions, and no others.
#[test]
fn damage_stays_where_it_is() {
    let path = folder().join("described-x86_64.elf");
    let mut bytes = fs::read(&path).expect("a file");
    let sound = UnwindTable::build(&open(&path)).expect("a table");
    let section = *open(&path).section(".eh_frame").expect("unwind information");
    // The version of the second common part, the signal trampoline's.
    let version = usize::try_from(section.offset).expect("an offset") + 0x108;
    assert_eq!(bytes[version], 1);
    bytes[version] = 9;
    let damaged = UnwindTable::build(&ElfFile::in_memory(bytes).expect("an ELF file")).expect("a table");
    let mut expected = sound.rows.to_vec();
    expected.retain(|row| ![0x1440, 0x1441].contains(&(sound.base + u64::from(row.pc))));
    assert_eq!((damaged.stats.functions, damaged.stats.damaged), (8, 3));
    assert_eq!(damaged.rows.to_vec(), expected);
}

/// A leaf, called by a function that keeps its return address in its frame, called by one that has a frame pointer.
#[test]
fn aarch64_is_walked_by_link_register_frame_and_frame_pointer() {
    const SIGNATURE: u64 = 0x7a << 48;
    let table = UnwindTable::build(&open(&folder().join("compiled-aarch64.elf"))).expect("a table");
    let registers =
        Registers { ip: 0x1528, sp: 0x8000, fp: 0x9000, lr: Some(SIGNATURE | 0x154c), thread_pointer: None };
    // `caller` has its return address at the stack pointer, `grow` frame pointer and return address at the frame's.
    let stack = [(0x8000, SIGNATURE | 0x1590), (0x9000, 0xa000), (0x9008, 0)];
    let limits = Limits { frames: 16, address_mask: (1 << 48) - 1 };
    let code = |address| Some(Code { table: &table, address });
    let word = |wanted| stack.iter().find(|(address, _)| *address == wanted).map(|(_, word)| *word);

    let found = walk(registers, limits, code, word);
    assert_eq!((found.frames, found.stop), (vec![0x1528, 0x154c, 0x1590], Stop::End));

    let found = walk(registers, Limits { frames: 2, ..limits }, code, word);
    assert_eq!((found.frames, found.stop), (vec![0x1528, 0x154c], Stop::Limit));

    // A leaf cannot have called: its return address is long overwritten.
    let found = walk(Registers { lr: Some(0x1530), ..registers }, limits, code, word);
    assert_eq!((found.frames, found.stop), (vec![0x1528, 0x1530], Stop::NoReturnAddress));

    let found = walk(Registers { sp: 0x7000, ..registers }, limits, code, word);
    assert_eq!((found.frames, found.stop), (vec![0x1528, 0x154c], Stop::Unreadable));
}

/// What gimli makes of the same section, row by row.
#[test]
fn rows_are_those_of_gimli() {
    for path in ["/proc/self/exe".into(), libc()] {
        let file = open(&path);
        let table = UnwindTable::build(&file).expect("a table");
        let section = file.section(".eh_frame").expect("unwind information");
        let bytes = file.section_bytes(section, 1 << 28).expect("a section");
        let compared = compare(&table, &bytes, section.address);
        assert!(compared > 10_000, "{}: {compared} rows", path.display());
        assert_eq!((table.stats.damaged, table.stats.truncated), (0, false), "{}", path.display());
    }
}

/// The one that this test runs with.
fn libc() -> PathBuf {
    let maps = fs::read_to_string("/proc/self/maps").expect("mappings");
    let paths = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    paths.map(PathBuf::from).find(|path| path.ends_with("libc.so.6")).expect("glibc")
}

/// How many rows there are to compare.
fn compare(table: &UnwindTable, bytes: &[u8], address: u64) -> usize {
    let mut section = EhFrame::new(bytes, LittleEndian);
    section.set_address_size(8);
    let bases = BaseAddresses::default().set_eh_frame(address).set_text(0).set_got(0);
    let mut context = UnwindContext::new();
    let mut entries = section.entries(&bases);
    let mut compared = 0;
    while let Some(entry) = entries.next().expect("an entry") {
        let CieOrFde::Fde(function) = entry else { continue };
        let function = function.parse(EhFrame::cie_from_offset).expect("a function");
        let mut rows = function.rows(&section, &bases, &mut context).expect("rows");
        while let Some(row) = rows.next_row().expect("a row") {
            let rule = table.rule(row.start_address());
            let same = match (rule.cfa, row.cfa()) {
                // Both are said of the whole function, which gimli's rows do not say.
                (Cfa::End | Cfa::Signal, _) => true,
                (Cfa::StackPointer(offset), CfaRule::RegisterAndOffset { register, offset: expected }) => {
                    *register == STACK_POINTER && i64::from(offset) == *expected
                }
                (Cfa::FramePointer(offset), CfaRule::RegisterAndOffset { register, offset: expected }) => {
                    *register == FRAME_POINTER && i64::from(offset) == *expected
                }
                // vfork keeps its return address in a register.
                (Cfa::Unsupported, CfaRule::RegisterAndOffset { register, .. }) => {
                    ![STACK_POINTER, FRAME_POINTER].contains(register)
                        || matches!(row.register(RETURN_ADDRESS), Some(RegisterRule::Register(_)))
                }
                (Cfa::Plt(_) | Cfa::AtStackPointer(..) | Cfa::AtFramePointer(..), CfaRule::Expression(_)) => true,
                _ => false,
            };
            let frame_pointer = match (rule.frame_pointer, row.register(FRAME_POINTER)) {
                _ if matches!(rule.cfa, Cfa::End | Cfa::Signal | Cfa::Unsupported) => true,
                (FramePointer::Unchanged, None | Some(RegisterRule::Undefined | RegisterRule::SameValue)) => true,
                (FramePointer::AtCfa(offset), Some(RegisterRule::Offset(expected))) => i64::from(offset) == expected,
                (FramePointer::AtFramePointer(_), Some(RegisterRule::Expression(_))) => true,
                _ => false,
            };
            assert!(same && frame_pointer, "{:x}: {rule:?}, expected {row:?}", row.start_address());
            compared += 1;
        }
    }
    compared
}

#[cfg(target_arch = "x86_64")]
const STACK_POINTER: Register = X86_64::RSP;
#[cfg(target_arch = "x86_64")]
const FRAME_POINTER: Register = X86_64::RBP;
#[cfg(target_arch = "x86_64")]
const RETURN_ADDRESS: Register = X86_64::RA;
#[cfg(target_arch = "aarch64")]
const STACK_POINTER: Register = AArch64::SP;
#[cfg(target_arch = "aarch64")]
const FRAME_POINTER: Register = AArch64::X29;
#[cfg(target_arch = "aarch64")]
const RETURN_ADDRESS: Register = AArch64::X30;
