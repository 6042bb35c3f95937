//! Real programs, stopped where their stacks are known: the walk finds the functions that are on them, and at each
//! instruction from there on the same frames as framehop.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's own functions cannot do fails the test"
)]

use nix::sys::wait::WaitStatus;
use profiler_core::native::unwind::Stop;

use stacks::memory::Memory;
use stacks::oracle::Oracle;
use stacks::program::{Compiled, Program, compile};
use stacks::replay::Replay;

mod stacks {
    mod cores;
    // aarch64 has goroutines in a register.
    #[cfg(target_arch = "x86_64")]
    mod go_labels;
    // The runtimes that the tests have are for it alone.
    #[cfg(target_arch = "x86_64")]
    mod dotnet;
    pub(crate) mod hostile;
    #[cfg(target_arch = "x86_64")]
    mod hotspot;
    #[cfg(target_arch = "x86_64")]
    pub(crate) mod image;
    pub(crate) mod memory;
    // What a leaf of aarch64 returns to is known in another way.
    #[cfg(target_arch = "x86_64")]
    mod node;
    pub(crate) mod oracle;
    pub(crate) mod program;
    // aarch64 tells of the thread pointer in another way.
    #[cfg(target_arch = "x86_64")]
    mod perl;
    #[cfg(target_arch = "x86_64")]
    mod php;
    #[cfg(target_arch = "x86_64")]
    mod python;
    pub(crate) mod replay;
    #[cfg(target_arch = "x86_64")]
    mod ruby;
    #[cfg(target_arch = "x86_64")]
    mod stopped;
}

/// At most as many instructions are followed of each program.
const STEPS: usize = 1500;

struct Case {
    /// What the program is asked for.
    what: &'static str,
    /// The program's own functions on the stack, the innermost first.
    functions: Vec<&'static str>,
    /// What framehop does not follow: frames that signals have interrupted, and frame addresses that are kept in the
    /// frame.
    beyond_framehop: bool,
}

fn cases() -> Vec<Case> {
    let case = |what, functions: &[&'static str]| {
        let functions = [&["stop_here"], functions, &["main", "_start"]].concat();
        Case { what, functions, beyond_framehop: false }
    };
    let beyond = |case| Case { beyond_framehop: true, ..case };
    vec![
        case("callback", &["compare", "descend"].repeat(20)),
        case("alloca", &["grow"; 4]),
        case("aligned", &["align"; 4]),
        beyond(case("aligned_alloca", &["align_and_grow"; 4])),
        case("large", &["large"; 3]),
        beyond(case("signal", &["handler", "interrupted"])),
        beyond(case("signal_stack", &["handler", "interrupted"])),
        case("last_call", &["leave", "last_call"]),
        Case { what: "thread", functions: vec!["stop_here", "thread"], beyond_framehop: false },
    ]
}

#[test]
fn gcc() {
    check("cc", &["-O2", "-fomit-frame-pointer", "-Wl,-z,now"], Oracles::Framehop);
}

#[test]
fn gcc_with_frame_pointers() {
    check("cc", &["-O0", "-fno-omit-frame-pointer", "-Wl,-z,now"], Oracles::Framehop);
}

#[test]
fn gcc_static() {
    check("cc", &["-O2", "-fomit-frame-pointer", "-static"], Oracles::Framehop);
}

#[test]
fn gcc_lazily_linked_at_a_fixed_address() {
    check("cc", &["-O3", "-fomit-frame-pointer", "-no-pie", "-Wl,-z,lazy"], Oracles::Framehop);
}

#[test]
fn gcc_with_indirect_branch_tracking() {
    check("cc", &["-O2", "-fomit-frame-pointer", "-fcf-protection=full", "-Wl,-z,ibtplt"], Oracles::Framehop);
}

#[test]
fn clang() {
    check("clang-19", &["-O2", "-fomit-frame-pointer", "-Wl,-z,now"], Oracles::Framehop);
}

/// LLVM's linker describes no procedure linkage table.
#[test]
fn clang_and_lld() {
    check("clang-19", &["-O3", "-fomit-frame-pointer", "-fuse-ld=lld", "-Wl,-z,lazy"], Oracles::Framehop);
}

/// No table for exceptions, only what debuggers need, compressed.
#[test]
fn debug_information_alone() {
    let flags =
        ["-O2", "-fomit-frame-pointer", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-g", "-gz=zlib"];
    check("cc", &flags, Oracles::None);
}

/// Go says how large frames are in a table of its own.
#[test]
fn go() {
    check_go(&["build", "-ldflags=-w"]);
}

#[test]
fn go_loaded_anywhere() {
    check_go(&["build", "-buildmode=pie"]);
}

fn check_go(flags: &[&str]) {
    let compiled = compile("go", flags, "stacks.go");
    let called =
        ["main.stopHere", "main.descend.func1", "main.descend", "main.descend", "main.descend", "main.descend"];
    for (what, first) in [("main", "main.main"), ("goroutine", "main.other"), ("grows", "main.main")] {
        let functions = [&called[..], &[first]].concat();
        let program = Program::stopped(&compiled, what);
        let memory = Memory::of(program.pid());
        let replay = Replay::new(&memory.mapped());
        let (mut here, mut on_other_stack) = (functions.len(), 0);
        for step in 0..STEPS {
            memory.check_replay(&replay, program.registers());
            let walk = memory.walk(program.registers());
            let names: Vec<&str> = compiled.names(&memory, &walk.frames).collect();
            let own: Vec<&str> = names.iter().copied().filter(|name| functions.contains(name)).collect();
            assert_eq!(walk.stop, Stop::End, "{what}, step {step}: {names:?}");
            if step == 0 {
                assert_eq!(own, functions, "{what}: {names:?}");
            }
            assert!(functions.ends_with(&own), "{what}, step {step}: {names:?}");
            // The runtime makes room on a stack of its own. While it copies the goroutine's nothing is whole there.
            match names.iter().position(|name| name.starts_with("runtime.morestack")) {
                Some(place) if own.is_empty() => assert_eq!(place + 1, names.len(), "{what}, step {step}: {names:?}"),
                place => {
                    on_other_stack += usize::from(place.is_some());
                    assert!(own.len() <= here, "{what}, step {step}: {names:?}");
                    here = own.len();
                }
            }
            // A goroutine that the scheduler has asked to make room waits until another one ran.
            if program.waits_for_another() {
                break;
            }
            if !matches!(program.step(), WaitStatus::Stopped(..)) {
                break;
            }
        }
        assert_eq!(on_other_stack > 100, what == "grows", "{what}: {on_other_stack}");
    }
}

fn check(compiler: &str, flags: &[&str], oracle: Oracles) {
    let compiled = compile(compiler, &[flags, &["-pthread"]].concat(), "stacks.c");
    for case in cases() {
        check_case(&compiled, &case, oracle);
    }
}

/// Whether framehop can follow the functions of a program.
#[derive(Clone, Copy, PartialEq)]
enum Oracles {
    Framehop,
    /// Of two sections it reads one.
    None,
}

fn check_case(compiled: &Compiled, case: &Case, oracles: Oracles) {
    let what = case.what;
    let program = Program::stopped(compiled, what);
    let memory = Memory::of(program.pid());
    let walk = memory.walk(program.registers());
    let own = [&case.functions[..], &["main", "_start"]].concat();
    let names: Vec<&str> = compiled.names(&memory, &walk.frames).filter(|name| own.contains(name)).collect();
    assert_eq!((walk.stop, names), (Stop::End, case.functions.clone()), "{what}: {:x?}", walk.frames);

    let framehop = Oracle::new(&memory);
    let replay = Replay::new(&memory.mapped());
    let (outermost, first) = (walk.frames.last().copied(), case.functions.iter().rfind(|name| !ENTRY.contains(name)));
    let mut followed = 0;
    for step in 0..STEPS {
        let registers = program.registers();
        memory.check_replay(&replay, registers);
        let walk = memory.walk(registers);
        let names: Vec<&str> = compiled.names(&memory, &walk.frames).collect();
        let place = || format!("{what}, step {step}: {:?} {:x?}", walk.stop, memory.places(&walk.frames));
        match walk.stop {
            Stop::End => {
                followed += 1;
                let names: Vec<&str> = names.iter().copied().filter(|name| own.contains(name)).collect();
                assert!(case.functions.ends_with(&names), "{}", place());
                assert_eq!(walk.frames.last().copied(), outermost, "{}", place());
                let comparable = oracles == Oracles::Framehop && !case.beyond_framehop;
                if comparable && !memory.is_linkage(registers.ip) {
                    assert_eq!(walk.frames, framehop.walk(&memory, registers), "{}", place());
                }
                if !names.iter().any(|name| Some(name) == first) {
                    break;
                }
            }
            Stop::Unsupported => assert!(may_be_unsupported(&memory, &walk.frames, &names), "{}", place()),
            // What ends a program in the C runtime, which the compiler says nothing about.
            Stop::NoInformation if what == "last_call" && !names.iter().any(|name| own.contains(name)) => break,
            _ => panic!("{}", place()),
        }
        if !matches!(program.step(), WaitStatus::Stopped(..)) {
            break;
        }
    }
    assert!(followed > 20, "{what}: {followed} instructions");
}

const ENTRY: [&str; 2] = ["main", "_start"];

/// The address of the frame is in a register that is not followed: in the dynamic linker while it looks a function up,
/// and in functions that align their stack until it is in the frame.
fn may_be_unsupported(memory: &Memory, frames: &[u64], names: &[&str]) -> bool {
    let at = memory.places(frames).pop().unwrap_or_default();
    at.contains("/ld-linux") || frames.len() == 1 && matches!(names, ["align_and_grow" | "align"])
}
