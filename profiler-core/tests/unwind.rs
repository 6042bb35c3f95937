//! Tables of files whose every row is known, and of files that this machine has.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use profiler_core::native::elf::ElfFile;
use profiler_core::native::unwind::{PackedRule, Row, Rule, UnwindTable};

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
