//! Names that are looked for on the host: in other files, on the disk, in the kernel, and in what runtimes write.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "what a test cannot do fails it")]

#[path = "symbols/tools.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod tools;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use profiler_core::native::elf::{ElfFile, FileId};
use profiler_core::process::Root;
use profiler_core::symbolizer::{Demangle, KernelNames, Origin, SymbolSettings, Symbolizer};
use tempfile::TempDir;
use tools::{Program, Table, functions};

const CXX: [&str; 6] = ["g++", "-O2", "-g", "-o", "{}", "{source}"];
const PATIENCE: Duration = Duration::from_secs(60);

fn settings(cache: &Path) -> SymbolSettings {
    SymbolSettings {
        cache: cache.to_owned(),
        cache_bytes: 64 << 20,
        memory_bytes: 1 << 20,
        demangle: Demangle::None,
        lines: false,
    }
}

fn symbolizer(cache: &Path) -> Symbolizer {
    Symbolizer::new(settings(cache)).expect("a symbolizer")
}

fn name(symbolizer: &Symbolizer, file: FileId, address: u64) -> Option<String> {
    let mut name = None;
    symbolizer.user(file, address, |function| name = Some(function.system_name.to_owned()));
    name
}

fn origin(path: &Path) -> Origin {
    let root = Root::of(std::process::id()).expect("one's own root");
    Origin { root: Some(root), path: path.to_str().expect("a path").to_owned() }
}

/// The tables of the folder.
fn tables(cache: &Path) -> Vec<PathBuf> {
    let mut tables: Vec<PathBuf> =
        fs::read_dir(cache).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    tables.sort();
    tables
}

#[test]
fn symbols_that_were_split_off_are_found() {
    let program = Program::compile(&CXX, "symbols.cc");
    program.run(&["objcopy", "--only-keep-debug", "program", "program.debug"]);
    let build_id = program.elf("program").build_id().expect("a build id").to_string();
    let (first, rest) = build_id.split_at(2);
    // Where the file with the symbols is, and whether the link says so.
    let cases = [
        ("bin/program.debug".to_owned(), true),
        ("bin/.debug/program.debug".to_owned(), true),
        (format!("usr/lib/debug/.build-id/{first}/{rest}.debug"), false),
        ("usr/lib/debug/bin/program.debug".to_owned(), true),
    ];
    for (place, is_linked) in cases {
        // The folder is the root of a process: an empty one but for what is put there.
        let root = TempDir::new().expect("a folder");
        let place = root.path().join(&place);
        fs::create_dir_all(place.parent().expect("a folder")).expect("a folder");
        fs::create_dir_all(root.path().join("bin")).expect("a folder");
        fs::copy(program.folder().join("program.debug"), &place).expect("a copy");
        let stripped = root.path().join("bin/program");
        let stripped_text = stripped.to_str().expect("a path");
        program.run(&["strip", "-o", stripped_text, "program"]);
        if is_linked {
            program.run(&["objcopy", "--add-gnu-debuglink=program.debug", stripped_text]);
        }
        let cache = TempDir::new().expect("a folder");
        let symbolizer = symbolizer(cache.path());
        let file = ElfFile::open(fs::File::open(&stripped).expect("a file")).expect("an ELF file");
        let id = file.id();
        let inside = Origin { root: Some(Root::at(root.path()).expect("a root")), path: "/bin/program".to_owned() };
        assert!(symbolizer.offer(file, inside) && symbolizer.wait(PATIENCE));
        for (address, (_, names)) in functions(&program.path, &[]) {
            let found = name(&symbolizer, id, address).unwrap_or_default();
            assert!(names.contains(&found), "{place:?}: {address:#x}: {found:?}, expected one of {names:?}");
        }
    }
}

/// Another build's symbols would be wrong for each address.
#[test]
fn a_link_to_another_file_is_not_followed() {
    let program = Program::compile(&CXX, "symbols.cc");
    program.run(&["objcopy", "--only-keep-debug", "program", "program.debug"]);
    program.run(&["strip", "--remove-section=.note.gnu.build-id", "-o", "stripped", "program"]);
    program.run(&["objcopy", "--add-gnu-debuglink=program.debug", "stripped"]);
    let mut bytes = fs::read(program.folder().join("program.debug")).expect("the file");
    bytes.push(0);
    fs::write(program.folder().join("program.debug"), bytes).expect("another file");
    let cache = TempDir::new().expect("a folder");
    let symbolizer = symbolizer(cache.path());
    let file = program.elf("stripped");
    let id = file.id();
    assert!(symbolizer.offer(file, origin(&program.folder().join("stripped"))) && symbolizer.wait(PATIENCE));
    let main = functions(&program.path, &[]).into_iter().find(|(_, (_, names))| names.contains(&"main".to_owned()));
    assert_eq!(name(&symbolizer, id, main.expect("main").0), None);
    assert_eq!(symbolizer.made().tables, 1);
}

/// As Fedora ships its programs.
#[test]
fn compressed_symbols_inside_of_a_file_are_found() {
    let program = Program::compile(&CXX, "symbols.cc");
    program.run(&["objcopy", "--only-keep-debug", "program", "debug"]);
    program.run(&["strip", "--strip-debug", "-o", "mini", "debug"]);
    program.run(&["xz", "-k", "mini"]);
    program.run(&["strip", "-o", "stripped", "program"]);
    program.run(&["objcopy", "--add-section=.gnu_debugdata=mini.xz", "stripped"]);
    let table = Table::of(&program.elf("stripped"), None, false);
    for (address, (_, names)) in functions(&program.path, &[]) {
        let found = table.name(address).unwrap_or_default();
        assert!(names.contains(&found), "{address:#x}: {found:?}, expected one of {names:?}");
    }
}

#[test]
fn names_are_demangled_as_the_settings_say() {
    let program = Program::compile(&CXX, "symbols.cc");
    let cases = [
        (Demangle::None, "_ZN5outer5twiceEd"),
        (Demangle::Simplified, "outer::twice"),
        (Demangle::Templates, "outer::twice"),
        (Demangle::Full, "outer::twice(double)"),
    ];
    let cache = TempDir::new().expect("a folder");
    for (demangle, expected) in cases {
        let symbolizer = Symbolizer::new(SymbolSettings { demangle, ..settings(cache.path()) }).expect("a symbolizer");
        let file = program.elf("program");
        let id = file.id();
        assert!(symbolizer.offer(file, Origin::default()) && symbolizer.wait(PATIENCE));
        let twice = functions(&program.path, &[]).into_iter().find(|(_, (_, names))| names[0] == "_ZN5outer5twiceEd");
        let mut found = Vec::new();
        symbolizer.user(id, twice.expect("a function").0, |function| {
            found.push((function.name.to_owned(), function.system_name.to_owned()));
        });
        assert_eq!(found, [(expected.to_owned(), "_ZN5outer5twiceEd".to_owned())]);
    }
    // The second to the fourth have read what the first has left.
    assert_eq!(tables(cache.path()).len(), 1);
}

#[test]
fn lines_are_found_where_they_are_wanted() {
    let program = Program::compile(&CXX, "symbols.cc");
    let cache = TempDir::new().expect("a folder");
    let outermost =
        functions(&program.path, &[]).into_iter().find(|(_, (_, names))| names[0] == "_ZN5outer9outermostEi");
    let (address, (size, _)) = outermost.expect("a function");
    let mut with_lines = Vec::new();
    for lines in [false, true] {
        let symbolizer = Symbolizer::new(SymbolSettings { lines, ..settings(cache.path()) }).expect("a symbolizer");
        let file = program.elf("program");
        let id = file.id();
        assert!(symbolizer.offer(file, Origin::default()) && symbolizer.wait(PATIENCE));
        let mut longest: Vec<(String, bool, u32)> = Vec::new();
        for address in address..address + size {
            let mut found = Vec::new();
            symbolizer.user(id, address, |function| {
                let is_source = function.file.ends_with("tests/programs/symbols.cc");
                found.push((function.name.to_owned(), is_source, function.start_line));
            });
            if found.len() > longest.len() {
                longest = found;
            }
        }
        with_lines.push(longest);
    }
    assert_eq!(with_lines[0], [("_ZN5outer9outermostEi".to_owned(), false, 0)]);
    let source =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/symbols.cc")).expect("it");
    let line_of = |text: &str| {
        u32::try_from(1 + source.lines().position(|line| line.contains(text)).expect("it")).expect("a line")
    };
    let expected =
        [("innermost", " int innermost("), ("middle", " int middle("), ("_ZN5outer9outermostEi", " int outermost(")];
    assert_eq!(with_lines[1], expected.map(|(name, text)| (name.to_owned(), true, line_of(text))));
}

/// Offers a file and asks for the name of `main`.
fn main_of(symbolizer: &Symbolizer, program: &Program) -> Option<String> {
    let file = program.elf("program");
    let id = file.id();
    assert!(symbolizer.offer(file, Origin::default()) && symbolizer.wait(PATIENCE));
    let main = functions(&program.path, &[]).into_iter().find(|(_, (_, names))| names.contains(&"main".to_owned()));
    name(symbolizer, id, main.expect("main").0)
}

#[test]
fn tables_stay_on_the_disk_and_nobody_else_may_read_them() {
    let program = Program::compile(&CXX, "symbols.cc");
    let folder = TempDir::new().expect("a folder");
    let cache = folder.path().join("cache");
    for made in [1, 0] {
        let symbolizer = symbolizer(&cache);
        assert_eq!(main_of(&symbolizer, &program).as_deref(), Some("main"));
        assert_eq!(symbolizer.made().tables, made);
    }
    assert_eq!(fs::metadata(&cache).expect("the folder").permissions().mode() & 0o777, 0o700);
}

/// Whatever was done to a table, it is made again when its file comes again.
#[test]
fn a_table_that_is_damaged_is_made_again() {
    let program = Program::compile(&CXX, "symbols.cc");
    let id = program.elf("program").id();
    let cache = TempDir::new().expect("a folder");
    assert_eq!(main_of(&symbolizer(cache.path()), &program).as_deref(), Some("main"));
    let [table] = &tables(cache.path())[..] else { panic!("one table") };
    let whole = fs::read(table).expect("the table");
    let longer = [&whole[..], b"x"].concat();
    let mut changed = whole.clone();
    changed[30] ^= 1;
    for damaged in [&b""[..], b"x", &whole[..20], &whole[..whole.len() - 1], &longer, &changed] {
        fs::write(table, damaged).expect("the table");
        let symbolizer = symbolizer(cache.path());
        let main = functions(&program.path, &[]).into_iter().find(|(_, (_, names))| names.contains(&"main".to_owned()));
        assert_eq!(name(&symbolizer, id, main.expect("main").0), None, "{} bytes", damaged.len());
        assert_eq!(symbolizer.wanted(8), [id]);
        assert_eq!(symbolizer.wanted(8), [], "it was asked for a moment ago");
        assert_eq!(main_of(&symbolizer, &program).as_deref(), Some("main"));
        assert_eq!(fs::read(table).expect("the table"), whole);
    }
}

#[test]
fn what_was_not_used_for_the_longest_time_goes_first() {
    let cache = TempDir::new().expect("a folder");
    let programs = ["stacks.c", "symbols.cc", "symbols.rs"];
    let commands: [&[&str]; 3] =
        [&["cc", "-o", "{}", "{source}"], &["g++", "-o", "{}", "{source}"], &["rustc", "-o", "{}", "{source}"]];
    let programs: Vec<Program> =
        programs.iter().zip(commands).map(|(source, command)| Program::compile(command, source)).collect();
    let sizes: Vec<u64> = programs
        .iter()
        .map(|program| {
            let cache = TempDir::new().expect("a folder");
            main_of(&symbolizer(cache.path()), program);
            tables(cache.path()).iter().map(|table| fs::metadata(table).expect("a table").len()).sum()
        })
        .collect();
    // Not all three have room, nor a tenth less than that.
    let limit = sizes.iter().sum::<u64>() - 1;
    let symbolizer =
        Symbolizer::new(SymbolSettings { cache_bytes: limit, ..settings(cache.path()) }).expect("a symbolizer");
    for program in &programs[..2] {
        main_of(&symbolizer, program);
    }
    // The first was used since.
    for table in tables(cache.path()) {
        let is_first = table
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .starts_with(&programs[0].elf("program").id().to_string());
        let age = Duration::from_secs(if is_first { 100 } else { 10_000 });
        let file = fs::File::options().write(true).open(&table).expect("a table");
        file.set_modified(std::time::SystemTime::now() - age).expect("its time");
    }
    main_of(&symbolizer, &programs[2]);
    let left: u64 = tables(cache.path()).iter().map(|table| fs::metadata(table).expect("a table").len()).sum();
    assert!(left <= limit, "{left} bytes of {limit}");
    let names: Vec<String> = tables(cache.path())
        .iter()
        .map(|table| table.file_name().expect("a name").to_string_lossy().into_owned())
        .collect();
    let has = |program: &Program| names.iter().any(|name| name.starts_with(&program.elf("program").id().to_string()));
    assert_eq!(programs.iter().map(has).collect::<Vec<_>>(), [true, false, true], "{sizes:?} of {limit}");
}

#[test]
fn a_folder_that_cannot_be_is_refused_with_a_reason() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("a file");
    let error = Symbolizer::new(settings(&file)).expect_err("no folder").to_string();
    assert!(error.starts_with("the folder of symbols ") && error.contains("file"), "{error}");
}

/// The kernel's own list says what the answers must be. Of several names for one address any is right.
#[test]
fn names_of_the_kernel_are_those_of_its_list() {
    let list = fs::read_to_string("/proc/kallsyms").expect("the list");
    let symbols: Vec<(u64, &str)> = list
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let address = u64::from_str_radix(fields.next()?, 16).ok()?;
            let kind = fields.next()?;
            ["t", "T"].contains(&kind).then(|| Some((address, fields.next()?)))?
        })
        .collect();
    let cache = TempDir::new().expect("a folder");
    let symbolizer = symbolizer(cache.path());
    if symbols.iter().all(|(address, _)| *address == 0) {
        symbolizer.kernel(0xffff_ffff_8100_0000, |name, _| panic!("{name}"));
        assert_eq!(symbolizer.kernel_names(), KernelNames::Hidden);
        return;
    }
    for place in 0..1000 {
        let (address, _) = symbols[place * 7919 % symbols.len()];
        let mut found = String::new();
        symbolizer.kernel(address, |name, _| found = name.to_owned());
        assert!(symbols.contains(&(address, &found)), "{address:#x}: {found}");
    }
    assert!(matches!(symbolizer.kernel_names(), KernelNames::Known(functions) if functions > 1000));
    let mut is_known = false;
    symbolizer.kernel(0x1000, |_, _| is_known = true);
    assert!(!is_known);
}

/// Removes what it has written, in whatever way the test ends.
struct Map(PathBuf);

impl Drop for Map {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.0).is_err();
    }
}

#[test]
fn what_a_process_says_of_its_own_code_is_read_as_it_grows() {
    let cache = TempDir::new().expect("a folder");
    let pid = std::process::id();
    let map = Map(PathBuf::from(format!("/tmp/perf-{pid}.map")));
    fs::write(&map.0, "7f0000001000 100 first\n").expect("the map");
    let asked = |symbolizer: &Symbolizer, address: u64| {
        let mut found = None;
        symbolizer.perf_map(pid, address, |name| found = Some(name.to_owned()));
        found
    };
    let symbolizer = symbolizer(cache.path());
    assert_eq!(asked(&symbolizer, 0x7f00_0000_10ff).as_deref(), Some("first"));
    assert_eq!(asked(&symbolizer, 0x7f00_0000_2000), None);
    fs::write(&map.0, "7f0000001000 100 first\n7f0000002000 10 second\n").expect("the map");
    let until = std::time::Instant::now() + PATIENCE;
    while asked(&symbolizer, 0x7f00_0000_2000).is_none() {
        assert!(std::time::Instant::now() < until, "it is never read again");
        std::thread::yield_now();
    }
    assert_eq!(asked(&symbolizer, 0x7f00_0000_2000).as_deref(), Some("second"));
    drop(map);

    // A link is not followed, for it is not known who has made it.
    let target = cache.path().join("target");
    fs::write(&target, "7f0000001000 100 first\n").expect("a file");
    let map = Map(PathBuf::from(format!("/tmp/perf-{pid}.map")));
    std::os::unix::fs::symlink(&target, &map.0).expect("a link");
    let other = TempDir::new().expect("a folder");
    let symbolizer = Symbolizer::new(settings(other.path())).expect("a symbolizer");
    assert_eq!(asked(&symbolizer, 0x7f00_0000_1000), None);
}
