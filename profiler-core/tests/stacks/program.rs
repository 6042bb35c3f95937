//! A program of C that stops itself, and is then followed one instruction at a time.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use object::read::elf::ElfFile64;
use object::{Object, ObjectSymbol};
use profiler_core::native::unwind::Registers;
use tempfile::TempDir;

use super::memory::Memory;

/// A program and the names of its functions.
pub(crate) struct Compiled {
    _folder: TempDir,
    path: PathBuf,
    functions: Vec<(u64, u64, String)>,
}

pub(crate) fn compile(compiler: &str, flags: &[&str], source: &str) -> Compiled {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("program");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(source);
    let output = Command::new(compiler).args(flags).arg("-o").arg(&path).arg(source).output();
    let output = output.unwrap_or_else(|error| panic!("{compiler}: {error}"));
    assert!(output.status.success(), "{compiler}: {}", String::from_utf8_lossy(&output.stderr));
    Compiled::new(folder, path)
}

impl Compiled {
    fn new(folder: TempDir, path: PathBuf) -> Self {
        let bytes = fs::read(&path).expect("the program");
        let file: ElfFile64<'_> = ElfFile64::parse(bytes.as_slice()).expect("an ELF file");
        let named = |symbol: object::read::elf::ElfSymbol64<'_, '_>| {
            // As GCC calls those that it has made for certain arguments.
            let name = symbol.name().expect("a name");
            let name = name.split(".constprop").next().unwrap_or_default().to_owned();
            (symbol.address(), symbol.address() + symbol.size().max(1), name)
        };
        let functions = file.symbols().filter(|symbol| symbol.kind() == object::SymbolKind::Text).map(named).collect();
        Compiled { _folder: folder, path, functions }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The names of frames' functions, where they are the program's own.
    pub(crate) fn names<'a>(&'a self, memory: &'a Memory, frames: &'a [u64]) -> impl Iterator<Item = &'a str> {
        frames.iter().enumerate().filter_map(|(place, frame)| {
            let address = memory.address_in(&self.path, frame - u64::from(place > 0))?;
            let found = self.functions.iter().find(|(start, end, _)| (*start..*end).contains(&address))?;
            Some(found.2.as_str())
        })
    }
}

/// A program that has stopped itself and is traced. It is killed in the end.
pub(crate) struct Program {
    child: Child,
    thread: Pid,
}

impl Program {
    pub(crate) fn stopped(compiled: &Compiled, argument: &str) -> Self {
        let mut command = Command::new(&compiled.path);
        command.arg(argument);
        Self::stopped_in(command, argument)
    }

    /// Any that says on standard error which of its threads stops.
    pub(crate) fn stopped_in(mut command: Command, what: &str) -> Self {
        let child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut program = Program { child, thread: Pid::from_raw(0) };
        let pid = program.pid();
        program.thread = pid;
        let status = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).expect("it can be waited for");
        assert!(matches!(status, WaitStatus::Stopped(..)), "{what}: {status:?}");
        program.thread = program.named_thread();
        ptrace::seize(program.thread, ptrace::Options::empty()).expect("it can be traced");
        program.wait();
        program
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a process id"))
    }

    #[cfg(target_arch = "x86_64")]
    pub(crate) fn registers(&self) -> Registers {
        let registers = ptrace::getregs(self.thread).expect("registers");
        let thread_pointer = Some(registers.fs_base);
        Registers { ip: registers.rip, sp: registers.rsp, fp: registers.rbp, lr: None, thread_pointer }
    }

    #[cfg(target_arch = "aarch64")]
    pub(crate) fn registers(&self) -> Registers {
        let registers = ptrace::getregs(self.thread).expect("registers");
        let [fp, lr] = [registers.regs[29], registers.regs[30]];
        Registers { ip: registers.pc, sp: registers.sp, fp, lr: Some(lr), thread_pointer: None }
    }

    #[cfg(target_arch = "x86_64")]
    pub(crate) fn thread_pointer(&self) -> u64 {
        ptrace::getregs(self.thread).expect("registers").fs_base
    }

    /// Whether the next instruction is the system call that waits for another thread: all of them are stopped, and it
    /// would never return.
    pub(crate) fn waits_for_another(&self) -> bool {
        const FUTEX_WAIT: u64 = 0;
        const COMMAND: u64 = 0x7f;
        let registers = ptrace::getregs(self.thread).expect("registers");
        #[cfg(target_arch = "x86_64")]
        let (at, number, operation, instruction) = (registers.rip, registers.rax, registers.rsi, 0x050f);
        #[cfg(target_arch = "aarch64")]
        let (at, number, operation, instruction) = (registers.pc, registers.regs[8], registers.regs[1], 0xd400_0001);
        let mask = if cfg!(target_arch = "x86_64") { 0xffff } else { 0xffff_ffff };
        let next = ptrace::read(self.thread, at as ptrace::AddressType).expect("its code");
        next & mask == instruction && i64::try_from(number) == Ok(libc::SYS_futex) && operation & COMMAND == FUTEX_WAIT
    }

    /// One instruction.
    pub(crate) fn step(&self) -> WaitStatus {
        ptrace::step(self.thread, None).expect("it goes on");
        self.wait()
    }

    fn wait(&self) -> WaitStatus {
        match waitpid(self.thread, Some(WaitPidFlag::__WALL)).expect("it can be waited for") {
            // How a process that is stopped says that it is traced now.
            WaitStatus::PtraceEvent(pid, signal, _) => WaitStatus::Stopped(pid, signal),
            status => status,
        }
    }

    /// The one that the program names.
    fn named_thread(&mut self) -> Pid {
        let mut said = [0; 32];
        let length = self.child.stderr.as_mut().expect("a pipe").read(&mut said).expect("what it says");
        let said = std::str::from_utf8(&said[..length]).expect("a text");
        Pid::from_raw(said.trim().parse().expect("a number"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _gone = self.child.kill().is_err();
        // Before the process: that is not over until whoever traces its threads has heard of their end.
        while self.thread != self.pid() {
            match waitpid(self.thread, Some(WaitPidFlag::__WALL)) {
                Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let _gone = self.child.wait().is_err();
    }
}
