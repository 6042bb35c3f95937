//! What may stand in a `pyroscope.java` block.

use std::time::Duration;

use alloy_syntax::{Arguments, Invalid};
use profiler_core::java::TmpDir;

use super::agent_options::AgentOptions;
use super::launcher_words::options_of;
use crate::components::targets::Targets;
use crate::pipeline::Receiver;

const NANOSECONDS: i64 = 1_000_000_000;
/// No backend takes a profile that is as old, and the agent counts the seconds to its end in 31 bits.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
const CSTACKS: [&str; 5] = ["fp", "dwarf", "vm", "vmx", "no"];
const LOG_LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "NONE"];

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = JavaArguments::validate)]
pub struct JavaArguments {
    /// Where profiles go.
    #[alloy(attr)]
    pub(super) forward_to: Vec<Receiver>,
    /// The JVMs: each target names a process by `__process_pid__`.
    #[alloy(attr)]
    pub(super) targets: Targets,
    /// The folder, in the file system of each JVM, under which the profiler's library and the recordings lie.
    #[alloy(attr, default = "/tmp".to_owned())]
    pub(super) tmp_dir: String,
    /// Where async-profiler is: its library, its jar or its unpacked folder. Where nothing is said it is looked for in
    /// the usual places.
    #[alloy(attr, optional)]
    pub(super) dist: String,
    /// What is recorded.
    #[alloy(block, optional)]
    pub(super) profiling_config: ProfilingConfig,
}

/// What is recorded. `wall`, `live`, `nativemem` and `cstack` are extensions.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = ProfilingConfig::validate)]
#[alloy(ignored("quiet"))]
pub(super) struct ProfilingConfig {
    /// From one profile of a JVM to the next.
    #[alloy(attr, default = Duration::from_secs(60))]
    pub(super) interval: Duration,
    /// Whether time on the CPU is sampled, or what `event` says.
    #[alloy(attr, default = true)]
    cpu: bool,
    /// What is sampled: `itimer`, `ctimer`, `cpu`, `wall`, or another event of async-profiler.
    #[alloy(attr, default = "itimer".to_owned())]
    event: String,
    /// Whether threads are told apart: samples have the label `thread`.
    #[alloy(attr, optional)]
    per_thread: bool,
    /// Samples a second on the CPU.
    #[alloy(attr, default = 100)]
    sample_rate: i64,
    /// Bytes from one sampled allocation to the next, such as `512k`; empty for none.
    #[alloy(attr, default = "512k".to_owned())]
    alloc: String,
    /// Whether allocations are sampled where a thread takes memory for several of them.
    #[alloy(attr, optional)]
    tlab: bool,
    /// The shortest wait for a lock that is recorded, such as `10ms`; empty for none.
    #[alloy(attr, default = "10ms".to_owned())]
    lock: String,
    /// What async-profiler tells of itself where something fails: `TRACE`, `DEBUG`, `INFO`, `WARN`, `ERROR` or `NONE`.
    #[alloy(attr, default = "INFO".to_owned())]
    log_level: String,
    /// Words of the command line of `asprof`, in the place of all arguments but `interval`.
    #[alloy(attr, optional)]
    custom_arguments: Vec<String>,
    /// From one sample of every thread to the next, whether it runs or waits, such as `20ms`; empty for none. Beside
    /// `cpu` both are recorded.
    #[alloy(attr, optional)]
    wall: String,
    /// Whether sampled objects that are still in use are recorded besides.
    #[alloy(attr, optional)]
    live: bool,
    /// Bytes from one sampled allocation outside of the heap to the next, such as `1m`; empty for none.
    #[alloy(attr, optional)]
    nativemem: String,
    /// How stacks of machine code are walked: `fp`, `dwarf`, `vm`, `vmx` or `no`; empty for the best that there is.
    #[alloy(attr, optional)]
    cstack: String,
}

impl JavaArguments {
    /// # Errors
    /// It is no folder that recordings can lie in.
    pub(super) fn tmp_dir(&self) -> Result<TmpDir, Invalid> {
        TmpDir::parse(&self.tmp_dir).map_err(|error| Invalid::attribute("tmp_dir", error.to_string()))
    }

    fn validate(&self) -> Result<(), Invalid> {
        let config = &self.profiling_config;
        if config.custom_arguments.is_empty() && config.alloc.is_empty() {
            for (name, is_set) in [("tlab", config.tlab), ("live", config.live)] {
                if is_set {
                    let message = format!("profiling_config.{name} requires profiling_config.alloc to be set");
                    return Err(Invalid::block(message));
                }
            }
        }
        self.tmp_dir().map(drop)
    }
}

impl ProfilingConfig {
    /// What the agent is told.
    ///
    /// # Errors
    /// What cannot be said to it.
    pub(super) fn agent_options(&self) -> Result<AgentOptions, Invalid> {
        if !self.custom_arguments.is_empty() {
            return options_of(&self.custom_arguments)
                .map_err(|error| Invalid::attribute("custom_arguments", error.to_string()));
        }
        let mut options = AgentOptions::default();
        let mut add_as = |name: &'static str, option: &'static str, value: &str| {
            let added = if value.is_empty() { Ok(()) } else { options.add(option, value) };
            added.map_err(|error| Invalid::attribute(name, error.to_string()))
        };
        add_as("log_level", "loglevel", &self.log_level)?;
        let mut add = |name, value: &str| add_as(name, name, value);
        if self.cpu {
            add("event", &self.event)?;
        }
        add("wall", &self.wall)?;
        if self.cpu {
            add("interval", &self.sampling_interval()?.to_string())?;
        }
        add("alloc", &self.alloc)?;
        add("lock", &self.lock)?;
        add("nativemem", &self.nativemem)?;
        add("cstack", &self.cstack)?;
        let flags = [
            ("threads", self.per_thread && (self.cpu || !self.wall.is_empty())),
            ("tlab", self.tlab),
            ("live", self.live),
        ];
        flags.into_iter().filter(|(_, is_set)| *is_set).for_each(|(name, _)| options.add_flag(name));
        Ok(options)
    }

    /// Nanoseconds.
    fn sampling_interval(&self) -> Result<i64, Invalid> {
        if !(1..=NANOSECONDS).contains(&self.sample_rate) {
            return Err(Invalid::attribute("sample_rate", "must be 1 to 1000000000 samples a second"));
        }
        Ok(NANOSECONDS / self.sample_rate)
    }

    fn validate(&self) -> Result<(), Invalid> {
        if self.interval.is_zero() || self.interval > LONGEST {
            return Err(Invalid::attribute("interval", "must be greater than 0 and at most 24h"));
        }
        self.agent_options()?;
        if !self.custom_arguments.is_empty() {
            return Ok(());
        }
        if self.cpu && self.event.is_empty() {
            return Err(Invalid::attribute(
                "event",
                "must say what is sampled, such as \"itimer\"; or set cpu to false",
            ));
        }
        if self.cpu && self.event == "wall" && !self.wall.is_empty() {
            let message = "event = \"wall\" samples the same: set event to \"itimer\", or remove wall";
            return Err(Invalid::attribute("wall", message));
        }
        one_of("cstack", &self.cstack, &CSTACKS)?;
        one_of("log_level", &self.log_level.to_ascii_uppercase(), &LOG_LEVELS)
    }
}

fn one_of(name: &'static str, value: &str, valid: &[&str]) -> Result<(), Invalid> {
    if value.is_empty() || valid.contains(&value) {
        return Ok(());
    }
    Err(Invalid::attribute(name, format!("{value:?} is none of {}", valid.join(", "))))
}
