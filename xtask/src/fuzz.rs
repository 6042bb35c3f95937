//! Fuzzing with libFuzzer on the stable toolchain: what `cargo fuzz run -s none` does, in a folder of its own under
//! `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};

use crate::steps::{self, command};

/// A target, and where its corpus is replayed.
struct Target {
    name: &'static str,
    replayed: &'static str,
}

/// The time is divided among them evenly.
const TARGETS: [Target; 7] = [
    Target { name: "syntax", replayed: "alloy-syntax" },
    Target { name: "pprof", replayed: "profiler-core" },
    Target { name: "delta", replayed: "profiler-core" },
    Target { name: "native", replayed: "profiler-core" },
    Target { name: "runtimes", replayed: "profiler-core" },
    Target { name: "symbols", replayed: "profiler-core" },
    Target { name: "jfr", replayed: "profiler-core" },
];

/// The instrumentation that libFuzzer steers by: counters of the edges, the table of their places, the operands of
/// comparisons. All of it is LLVM's, so that no nightly compiler is needed; without a sanitizer there is nothing else.
const COVERAGE: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
    -Ccodegen-units=1 \
    --cfg fuzzing";

/// Physical memory of the fuzzer, in MiB. A run of ten minutes was seen to take 43: whatever needs more than this
/// allocates without a bound.
const MEMORY_LIMIT: u32 = 1024;
/// Seconds for one input. None of the corpus takes a whole one; machines that run tests are busy.
const INPUT_TIMEOUT: u32 = 20;

/// Looks for a failure for `time`, from a copy of the committed inputs.
///
/// # Errors
/// A failure, with the path of its input and how to replay it; or what is missing for building the fuzzer.
pub(crate) fn run(root: &Path, time: Duration) -> anyhow::Result<()> {
    TARGETS.iter().try_for_each(|target| Fuzzer::build(root, target)?.run(time / TARGETS.len() as u32))
}

/// As [`run`]; then adds to the committed inputs those new ones that reach code which no other reaches.
pub(crate) fn run_and_keep(root: &Path, time: Duration) -> anyhow::Result<()> {
    TARGETS.iter().try_for_each(|target| {
        let fuzzer = Fuzzer::build(root, target)?;
        let result = fuzzer.run(time / TARGETS.len() as u32);
        // What was found before a failure is worth keeping too.
        fuzzer.merge()?;
        result
    })
}

struct Fuzzer {
    target: &'static Target,
    binary: PathBuf,
    /// The committed inputs.
    seeds: PathBuf,
    /// Words of the input's language, where it has one.
    dictionary: Option<PathBuf>,
    /// The working copy of the inputs, new for every fuzzer.
    corpus: PathBuf,
    /// Where an input that fails is written; those of earlier runs stand beside it.
    failure: PathBuf,
}

impl Fuzzer {
    fn build(root: &Path, fuzzed: &'static Target) -> anyhow::Result<Self> {
        let name = fuzzed.name;
        let package = root.join("fuzz");
        let target = root.join("target/fuzz");
        let host = host()?;
        // A target triple keeps the flags away from build scripts and macros, which could not be linked with them.
        let mut build = command(&package, "cargo build --locked --bin");
        build.args([name, "--target", &host, "--target-dir"]).arg(&target).env("RUSTFLAGS", COVERAGE);
        steps::run(&mut build)?;

        let failures = target.join("failures");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
        let fuzzer = Self {
            target: fuzzed,
            binary: target.join(host).join("debug").join(name),
            seeds: package.join("corpus").join(name),
            dictionary: Some(package.join(name).with_extension("dict")).filter(|words| words.exists()),
            corpus: target.join("corpus").join(name),
            failure: failures.join(format!("{name}-{}", now.as_secs())),
        };
        if fuzzer.corpus.exists() {
            fs::remove_dir_all(&fuzzer.corpus).with_context(|| format!("remove {}", fuzzer.corpus.display()))?;
        }
        for folder in [&fuzzer.corpus, &failures] {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        Ok(fuzzer)
    }

    fn run(&self, time: Duration) -> anyhow::Result<()> {
        // libFuzzer writes what is new into the first folder alone.
        let mut run = Command::new(&self.binary);
        run.arg(&self.corpus).arg(&self.seeds);
        run.args(self.dictionary.iter().map(|words| format!("-dict={}", words.display())));
        run.arg(format!("-exact_artifact_path={}", self.failure.display()));
        run.arg(format!("-max_total_time={}", time.as_secs()));
        run.arg(format!("-max_len={}", 64 << 10));
        run.args(limits()).args(["-print_final_stats=1", "-verbosity=0"]);
        match steps::run(&mut run) {
            Err(_) if self.failure.exists() => bail!("{}", self.advice()),
            result => result,
        }
    }

    /// Greedily: inputs that between them reach every edge that any of them reaches. Of how often an edge is passed
    /// nothing is asked, which would multiply the files.
    fn merge(&self) -> anyhow::Result<()> {
        let count = || fs::read_dir(&self.seeds).map(Iterator::count).context("cannot count the inputs");
        let before = count()?;
        let mut merge = Command::new(&self.binary);
        merge.args(["-set_cover_merge=1", "-use_counters=0", "-use_cmp=0", "-verbosity=0"]).args(limits());
        // An input that fails is left out, and would else be written into whatever folder this runs in.
        merge.arg(format!("-artifact_prefix={}-merge-", self.failure.display()));
        steps::run(merge.arg(&self.seeds).arg(&self.corpus))?;
        println!("{}: {} new inputs", self.seeds.display(), count()?.saturating_sub(before));
        Ok(())
    }

    fn advice(&self) -> String {
        let (binary, seeds) = (self.binary.display(), self.seeds.display());
        let (input, replayed) = (self.failure.display(), self.target.replayed);
        format!(
            "an input fails: {input}\n\
             replay it:  {binary} {input}\n\
             shorten it: {binary} -minimize_crash=1 -max_total_time=30 {input}\n\
             then copy it to {seeds}/, and `cargo test -p {replayed} --test corpus` fails until it is mended"
        )
    }
}

fn limits() -> [String; 2] {
    [format!("-rss_limit_mb={MEMORY_LIMIT}"), format!("-timeout={INPUT_TIMEOUT}")]
}

fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc").args(["--print", "host-tuple"]).output().context("rustc cannot be started")?;
    let host = String::from_utf8(output.stdout).context("reading what rustc prints")?;
    match host.trim() {
        "" => bail!("`rustc --print host-tuple` prints nothing: {}", String::from_utf8_lossy(&output.stderr)),
        host => Ok(host.to_owned()),
    }
}
