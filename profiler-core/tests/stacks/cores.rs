//! Stacks of aarch64: the programs run under QEMU and end with a core, which is walked here.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, elf};
use profiler_core::native::unwind::{Registers, Stop};

use super::memory::Memory;
use super::program::{Compiled, compile};
use super::replay::Replay;
use crate::cases;

const COMPILER: &str = "aarch64-linux-gnu-gcc";

#[test]
fn aarch64() {
    check(&["-O2", "-fomit-frame-pointer"]);
}

#[test]
fn aarch64_without_optimisation() {
    check(&["-O0"]);
}

#[test]
fn aarch64_with_signed_return_addresses() {
    check(&["-O2", "-fomit-frame-pointer", "-mbranch-protection=standard"]);
}

fn check(flags: &[&str]) {
    // Where QEMU finds no library of that processor.
    let compiled = compile(COMPILER, &[flags, &["-static", "-pthread", "-DSTOP=SIGABRT"]].concat(), "stacks.c");
    for case in cases().iter().filter(|case| case.what != "thread") {
        let core = Core::of(&compiled, case.what);
        let memory = Memory::of_core(&core.bytes, compiled.path());
        let registers = core.registers();
        let walk = memory.walk(registers);
        let names: Vec<&str> =
            compiled.names(&memory, &walk.frames).filter(|name| case.functions.contains(name)).collect();
        let place = || format!("{}: {:x?}", case.what, memory.places(&walk.frames));
        assert_eq!((walk.stop, names), (Stop::End, case.functions.clone()), "{}", place());
        memory.check_replay(&Replay::of_processor("arm64", &memory.mapped()), registers);
    }
}

struct Core {
    bytes: Vec<u8>,
}

impl Core {
    fn of(compiled: &Compiled, what: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let status = Command::new("sh")
            .current_dir(folder.path())
            .args(["-c", "ulimit -c unlimited; exec qemu-aarch64 \"$0\" \"$1\""])
            .arg(compiled.path())
            .arg(what)
            .stderr(Stdio::null())
            .status()
            .expect("a shell");
        let found = fs::read_dir(folder.path()).expect("the folder").map(|entry| entry.expect("an entry").path());
        let cores: Vec<PathBuf> = found.filter(|path| path.extension() == Some("core".as_ref())).collect();
        let [core] = &cores[..] else {
            panic!("this test needs qemu-aarch64 of qemu-user: {what}: {status}, {cores:?}")
        };
        Core { bytes: fs::read(core).expect("a core") }
    }

    /// Of the thread that ended it: `pr_reg` of the first `struct elf_prstatus`.
    fn registers(&self) -> Registers {
        const REGISTERS: usize = 112;
        let header = elf::FileHeader64::<Endianness>::parse(&*self.bytes).expect("an ELF file");
        let segments = header.program_headers(Endianness::Little, &*self.bytes).expect("segments");
        let status = segments
            .iter()
            .filter_map(|segment| segment.notes(Endianness::Little, &*self.bytes).expect("notes"))
            .find_map(|mut notes| {
                let note = notes.next().expect("a note")?;
                (note.n_type(Endianness::Little) == elf::NT_PRSTATUS).then(|| note.desc())
            })
            .expect("the state of a thread");
        let words: Vec<u64> = status[REGISTERS..].as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        Registers { ip: words[32], sp: words[31], fp: words[29], lr: Some(words[30]), thread_pointer: None }
    }
}
