//! The kernel's code, compiled to user space under the sanitizers of addresses and of undefined behaviour.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use profiler_core::native::unwind::{Registers, Row, UnwindTable};

/// A process that walks stacks. It ends with this, and must not have complained.
pub(crate) struct Replay {
    child: Child,
    input: RefCell<ChildStdin>,
    output: RefCell<ChildStdout>,
    biases: Vec<u64>,
}

/// What is told of a mapping.
pub(crate) struct Mapped<'t> {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) bias: u64,
    pub(crate) table: &'t UnwindTable,
    /// Within it, by rising addresses: the code that is a runtime's, and its unwinder's number.
    pub(crate) of_runtime: Vec<(Range<u64>, u64)>,
}

/// What the kernel's code found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Walked {
    /// `STOP_*`.
    pub(crate) stop: u64,
    /// As user space counts them: in memory.
    pub(crate) frames: Vec<u64>,
    /// Those of runtimes, as they were handed over: two words each.
    pub(crate) of_runtimes: Vec<[u64; 2]>,
    /// As they were handed over.
    pub(crate) labels: Vec<u8>,
}

/// `ORIGIN_*`.
pub(crate) const ORIGINS: [u64; 3] = [0, 1, 2];

const OWN: &str = if cfg!(target_arch = "x86_64") { "x86" } else { "arm64" };
const TABLE: u64 = 1;
const RULES: u64 = 2;
const MAPPINGS: u64 = 3;
const WALK: u64 = 4;
const RUNTIME: u64 = 5;
const THREAD: u64 = 6;
/// `MAPPING_ANONYMOUS`, in the place of flags.
const ANONYMOUS: u64 = 1 << 48;
const ASK: u64 = u64::MAX;
/// Kinds of frames from this on are of runtimes.
const RUNTIMES: u64 = 16;

impl Replay {
    pub(crate) fn new(mapped: &[Mapped<'_>]) -> Self {
        Self::of_processor(OWN, mapped)
    }

    /// With memory of no file, whose code is a runtime's.
    pub(crate) fn with_made_code(mapped: &[Mapped<'_>], made: &[Range<u64>], unwinder: u64) -> Self {
        let mut replay = Self::new(&[]);
        let made = made.iter().map(|made| [made.start, made.end, 0, 0, 0, unwinder << 32 | ANONYMOUS]);
        replay.tell(mapped, made.collect());
        replay.biases = mapped.iter().map(|mapped| mapped.bias).collect();
        replay
    }

    /// The code for a processor, as it is called in bpf/. What differs are numbers: any processor runs it.
    pub(crate) fn of_processor(processor: &'static str, mapped: &[Mapped<'_>]) -> Self {
        let program = Command::new(compiled(processor)).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = program.expect("it starts");
        let input = RefCell::new(child.stdin.take().expect("a pipe"));
        let output = RefCell::new(child.stdout.take().expect("a pipe"));
        let biases = mapped.iter().map(|mapped| mapped.bias).collect();
        let replay = Self { child, input, output, biases };
        replay.tell(mapped, Vec::new());
        replay
    }

    /// The stack of these registers, with this memory.
    pub(crate) fn walk(&self, origin: u64, registers: Registers, memory: &BTreeMap<u64, u64>) -> Walked {
        let Registers { ip, sp, fp, lr, .. } = registers;
        let head = [WALK, origin, ip, sp, fp, lr.unwrap_or(0), memory.len() as u64];
        self.send(head.into_iter().chain(memory.iter().flat_map(|(address, word)| [*address, *word])));
        self.answer(|_address| panic!("it has all words"))
    }

    /// The same, with the words of the memory that are asked for.
    pub(crate) fn walk_asking(
        &self,
        origin: u64,
        registers: Registers,
        word: impl FnMut(u64) -> Option<u64>,
    ) -> Walked {
        let Registers { ip, sp, fp, lr, .. } = registers;
        self.send([WALK, origin, ip, sp, fp, lr.unwrap_or(0), ASK].into_iter());
        self.answer(word)
    }

    fn answer(&self, mut word: impl FnMut(u64) -> Option<u64>) -> Walked {
        let (stop, frames) = loop {
            match self.receive(2)[..] {
                [ASK, address] => {
                    let word = word(address);
                    self.send([u64::from(word.is_some()), word.unwrap_or(0)].into_iter());
                }
                [stop, frames] => break (stop, frames),
                _ => panic!("no answer"),
            }
        };
        let frames = self.receive(2 * usize::try_from(frames).expect("few frames"));
        let (of_runtimes, frames): (Vec<[u64; 2]>, Vec<[u64; 2]>) =
            frames.as_chunks().0.iter().partition(|[_, what]| what >> 32 & 0xff >= RUNTIMES);
        let in_memory = |frame: &[u64; 2]| {
            let (file, kind) = (frame[1] as u32, frame[1] >> 32 & 0xff);
            let bias = self.biases.get((file as usize).wrapping_sub(1)).filter(|_| kind == 0);
            frame[0].wrapping_add(bias.copied().unwrap_or(0))
        };
        let bytes = usize::try_from(self.receive(1)[0]).expect("few labels");
        let mut labels: Vec<u8> = self.receive(bytes.div_ceil(8)).into_iter().flat_map(u64::to_le_bytes).collect();
        labels.truncate(bytes);
        Walked { stop, frames: frames.iter().map(in_memory).collect(), of_runtimes, labels }
    }

    pub(crate) fn tell_table(&self, slot: u64, rows: &[u64]) {
        self.send([TABLE, slot, rows.len() as u64].iter().chain(rows).copied());
    }

    /// By its unwinder's number, what the kernel is told of a runtime in a process.
    pub(crate) fn tell_runtime(&self, unwinder: u64, process: &[u64]) {
        self.send([RUNTIME, unwinder, process.len() as u64].iter().chain(process).copied());
    }

    pub(crate) fn tell_thread_pointer(&self, address: u64) {
        self.send([THREAD, address].into_iter());
    }

    /// Two words each.
    pub(crate) fn tell_rules(&self, rules: &[u64]) {
        self.send([RULES, rules.len() as u64 / 2].iter().chain(rules).copied());
    }

    /// Six words each, in the order of addresses.
    pub(crate) fn tell_mappings(&self, mappings: &[u64]) {
        self.send([MAPPINGS, mappings.len() as u64 / 6].iter().chain(mappings).copied());
    }

    fn tell(&self, mapped: &[Mapped<'_>], mut mappings: Vec<[u64; 6]>) {
        let mut rules = Vec::new();
        for (slot, mapped) in (1..).zip(mapped) {
            let table = mapped.table;
            // Rules of all tables are in one array: a row's place of its rule moves.
            let moved = rules.len() as u64 / 2;
            let in_all = |row: &Row| row.to_bits() + row.rule.index().map_or(0, |_| moved << (32 + 4));
            self.tell_table(slot, &table.rows.iter().map(in_all).collect::<Vec<_>>());
            rules.extend(table.rules.iter().flat_map(|rule| {
                let number = u128::from_le_bytes(rule.to_bytes());
                [number as u64, (number >> 64) as u64]
            }));
            let mut part = |start, end, unwinder: u64| {
                let rows = table.rows.len() as u64 | unwinder << 32;
                if start == end {
                    return;
                }
                mappings.push([start, end, mapped.bias, table.base, slot | slot << 32, rows]);
            };
            let mut from = mapped.start;
            for (code, unwinder) in &mapped.of_runtime {
                part(from, code.start, 0);
                part(code.start, code.end, *unwinder);
                from = code.end;
            }
            part(from, mapped.end, 0);
        }
        mappings.sort_unstable();
        self.tell_rules(&rules);
        self.tell_mappings(&mappings.concat());
    }

    fn send(&self, words: impl Iterator<Item = u64>) {
        let bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        self.input.borrow_mut().write_all(&bytes).expect("it reads");
    }

    fn receive(&self, words: usize) -> Vec<u64> {
        let mut bytes = vec![0; words * 8];
        self.output.borrow_mut().read_exact(&mut bytes).expect("it answers");
        bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect()
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        let _gone = self.child.kill().is_err();
        let _gone = self.child.wait().is_err();
    }
}

fn compiled(processor: &'static str) -> &'static Path {
    static PROGRAMS: Mutex<BTreeMap<&'static str, &'static Path>> = Mutex::new(BTreeMap::new());
    let mut programs = PROGRAMS.lock().expect("it was compiled");
    programs.entry(processor).or_insert_with(|| Box::leak(compile(processor).into_boxed_path()))
}

fn compile(processor: &str) -> PathBuf {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("replay-{processor}"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let status = Command::new("cc")
        .args(["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"])
        .args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"])
        .arg(format!("-D__TARGET_ARCH_{processor}"))
        .arg("-I")
        .arg(root.join("../bpf"))
        .arg("-o")
        .args([&output, &root.join("tests/stacks/replay.c")])
        .status()
        .unwrap_or_else(|error| panic!("this test needs a C compiler, cc: {error}"));
    assert!(status.success(), "cc: {status}");
    output
}
