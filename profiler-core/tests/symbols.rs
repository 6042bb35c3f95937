//! Names of functions in real programs, compared with what binutils say.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "what a test cannot do fails it")]

#[path = "symbols/tools.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod tools;

use std::collections::HashSet;
use std::path::Path;

use profiler_core::native::elf::ElfFile;
use profiler_core::native::symbols::Location;
use tools::{Program, Table, functions, plain, sources};

const CC: [&str; 6] = ["cc", "-O2", "-g", "-o", "{}", "{source}"];
const CXX: [&str; 6] = ["g++", "-O2", "-g", "-o", "{}", "{source}"];
const RUST: [&str; 7] = ["rustc", "-O", "-g", "--edition=2024", "-o", "{}", "{source}"];
// addr2line does not read what Go writes of DWARF 5.
const GO_OLD_DWARF: [&str; 7] = ["env", "GOEXPERIMENT=nodwarf5", "go", "build", "-o", "{}", "{source}"];

/// Every function that `nm` knows has a name that it has there, at its first byte and at its last.
fn agrees_with_nm(table: &Table, path: &Path, options: &[&str], at_least: usize) {
    let functions = functions(path, options);
    assert!(functions.len() >= at_least, "nm knows {} functions of {}", functions.len(), path.display());
    for (address, (size, names)) in &functions {
        for asked in [*address, address + size - 1] {
            let inner = functions.range(..=asked).next_back().expect("one");
            let names = if *inner.0 == *address || inner.0 + inner.1.0 <= asked { names } else { &inner.1.1 };
            let found = plain(&table.name(asked).unwrap_or_default());
            assert!(names.contains(&found), "{asked:#x} of {}: {found}, nm says {names:?}", path.display());
        }
    }
}

/// Debug information does not tell apart what the compiler made of one function, and constructors and destructors have
/// several names.
fn one_name(name: &str) -> String {
    let clones = [".cold", ".constprop.", ".isra.", ".part.", ".llvm."];
    let end = clones.iter().filter_map(|clone| name.find(clone)).min();
    end.map_or(name, |end| &name[..end]).replace("D1Ev", "D2Ev").replace("D4Ev", "D2Ev").replace("C1E", "C2E")
}

type Frame = (String, String, u32);

/// Function, file and line of each frame, the innermost first.
fn frames(table: &Table, address: u64) -> Vec<(String, String, u32)> {
    let frame = |location: Location| (location.name.into(), location.file.into(), location.line);
    table.at(address).into_iter().map(frame).collect()
}

#[test]
fn functions_of_c_cpp_and_rust_are_those_of_nm() {
    for (command, source) in [(&CC[..], "stacks.c"), (&CXX, "symbols.cc"), (&RUST, "symbols.rs")] {
        let program = Program::compile(command, source);
        let table = Table::of(&program.elf("program"), None, false);
        agrees_with_nm(&table, &program.path, &[], 10);
    }
}

#[test]
fn functions_of_libraries_are_those_that_others_may_call() {
    for library in ["libc.so.6", "libstdc++.so.6", "libm.so.6"] {
        let path = Path::new("/usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH)).join(library);
        let file = ElfFile::open(std::fs::File::open(&path).expect("a library")).expect("an ELF file");
        agrees_with_nm(&Table::of(&file, None, false), &path, &["-D"], 500);
    }
}

/// Linked by Go and by the linker of C, which puts Go's table among other data; for one place and for any.
#[test]
fn go_is_known_without_symbols_too() {
    let ways: [&[&str]; 4] = [
        &[],
        &["-buildmode=pie"],
        &["-ldflags=-linkmode=external"],
        &["-buildmode=pie", "-ldflags=-linkmode=external"],
    ];
    for way in ways {
        let command = [&["go", "build"], way, &["-o", "{}", "{source}"]].concat();
        let program = Program::compile(&command, "stacks.go");
        let whole = Table::of(&program.elf("program"), None, true);
        agrees_with_nm(&whole, &program.path, &[], 1000);
        program.run(&["strip", "-o", "stripped", "program"]);
        assert!(program.elf("stripped").section(".symtab").is_none());
        let stripped = Table::of(&program.elf("stripped"), None, true);
        let mut compared = 0;
        for (address, (size, names)) in functions(&program.path, &[]) {
            // What is C's has no name any more.
            if !names.iter().any(|name| name.starts_with("runtime.") || name.starts_with("main.")) {
                continue;
            }
            for address in [address, address + size / 2] {
                assert_eq!(stripped.at(address), whole.at(address), "{address:#x} of {command:?}");
                compared += 1;
            }
        }
        assert!(compared > 1000, "{command:?}: {compared}");
    }
}

#[test]
fn go_has_lines_and_inlined_functions_of_its_own() {
    let program = Program::compile(&GO_OLD_DWARF, "stacks.go");
    let table = Table::of(&program.elf("program"), None, true);
    let functions = functions(&program.path, &[]);
    let addresses: Vec<u64> = functions
        .iter()
        .filter(|(_, (_, names))| names.iter().any(|name| name.starts_with("main.") || name.starts_with("runtime.m")))
        .flat_map(|(address, (size, _))| (*address..address + size).step_by(3))
        .collect();
    assert!(addresses.len() > 1000);
    let expected = sources(&program.path, &addresses);
    let mut different = Vec::new();
    let mut inlined = HashSet::new();
    for (address, expected) in addresses.iter().zip(&expected) {
        let found = frames(&table, *address);
        inlined.extend(found.iter().rev().skip(1).map(|frame| frame.0.clone()));
        // addr2line calls what is inlined as what it is inlined into.
        let places = |frames: &[(String, String, u32)]| {
            frames.iter().map(|frame| (frame.1.clone(), frame.2)).collect::<Vec<_>>()
        };
        let outer = |frames: &[(String, String, u32)]| frames.last().map(|frame| plain(&frame.0));
        if places(&found) != places(expected) || outer(&found) != outer(expected) {
            different.push((address, found, expected));
        }
    }
    assert!(
        different.len() * 100 < addresses.len(),
        "{} of {}: {:#?}",
        different.len(),
        addresses.len(),
        &different[..3]
    );
    for name in ["internal/runtime/maps.(*Map).directoryAt", "runtime.add", "runtime.getMCache"] {
        assert!(inlined.contains(name), "{name} is inlined nowhere: {inlined:?}");
    }
}

#[test]
fn lines_and_inlined_functions_are_those_of_addr2line() {
    // Of each thousand answers so many may be different. Binutils count the files of DWARF 5 from the wrong number in
    // some places.
    let cases = [
        (vec!["g++", "-O2", "-gdwarf-4", "-o", "{}", "{source}"], "symbols.cc", 1),
        (vec!["g++", "-O2", "-gdwarf-5", "-o", "{}", "{source}"], "symbols.cc", 50),
        (vec!["g++", "-O2", "-gdwarf-4", "-gz=zlib", "-o", "{}", "{source}"], "symbols.cc", 1),
        (vec!["cc", "-O2", "-gdwarf-4", "-o", "{}", "{source}"], "stacks.c", 1),
        (RUST.to_vec(), "symbols.rs", 1),
    ];
    for (command, source, allowed) in cases {
        let program = Program::compile(&command, source);
        let table = Table::of(&program.elf("program"), None, true);
        let code = program.elf("program").executable()[0];
        let addresses: Vec<u64> =
            (code.address..code.end()).step_by(5).filter(|address| table.name(*address).is_some()).collect();
        assert!(addresses.len() > 100, "{command:?}");
        let expected = sources(&program.path, &addresses);
        let mut different = Vec::new();
        for (address, expected) in addresses.iter().zip(&expected) {
            // It names the file of an object where it knows no line.
            if !expected.iter().any(|frame| frame.1.contains('/')) {
                continue;
            }
            let found = frames(&table, *address);
            let places =
                |frames: &[Frame]| frames.iter().map(|(_, file, line)| (file.clone(), *line)).collect::<Vec<_>>();
            let outer = &expected[expected.len() - 1].0;
            // Where addr2line knows no name for linkers it says the name of the function around.
            let is_name = |(found, expected): (&Frame, &Frame)| {
                &expected.0 == outer || one_name(&found.0) == one_name(&expected.0)
            };
            let outer_is_named = found.last().is_some_and(|frame| one_name(&frame.0) == one_name(outer));
            if places(&found) != places(expected) || !found.iter().zip(expected).all(is_name) || !outer_is_named {
                different.push((address, found, expected));
            }
        }
        assert!(
            different.len() * 1000 <= addresses.len() * allowed,
            "{command:?}: {} of {}: {:x?}",
            different.len(),
            addresses.len(),
            &different[..different.len().min(8)]
        );
    }
}

#[test]
fn a_file_and_what_was_split_off_from_it_say_as_much_as_the_whole() {
    let program = Program::compile(&CXX, "symbols.cc");
    program.run(&["objcopy", "--only-keep-debug", "program", "debug"]);
    program.run(&["strip", "-o", "stripped", "program"]);
    let whole = Table::of(&program.elf("program"), None, true);
    let split = Table::of(&program.elf("stripped"), Some(&program.elf("debug")), true);
    let code = program.elf("program").executable()[0];
    let different = (code.address..code.end()).filter(|address| split.at(*address) != whole.at(*address));
    assert_eq!(different.collect::<Vec<_>>(), [0_u64; 0]);
    let deepest = (code.address..code.end()).map(|address| split.at(address).len()).max();
    assert!(deepest > Some(2), "{deepest:?}");
}

#[test]
fn a_table_without_functions_is_one() {
    let program =
        Program::compile(&["cc", "-nostdlib", "-shared", "-O2", "-s", "-o", "{}", "{source}"], "../native/named.c");
    program.run(&["strip", "--strip-all", "program"]);
    program.run(&["objcopy", "--remove-section=.dynsym", "program"]);
    let table = Table::of(&program.elf("program"), None, true);
    let code = program.elf("program").executable()[0];
    assert_eq!(table.name(code.address), None);
    assert_eq!(table.name(0), None);
    assert_eq!(table.name(u64::MAX), None);
}
