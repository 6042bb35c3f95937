//! The command line of `asprof`, async-profiler's own launcher, in the words of its agent.

use super::agent_options::{AgentOptions, BadValue};

/// Why words cannot be said to the agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum WordError {
    #[error("{0:?} is no option of asprof that says what is recorded: remove it")]
    Unknown(String),
    #[error("{0} is not for a configuration to say: recordings begin, end and are kept as interval says; remove it")]
    Ours(String),
    #[error("--jfrsync records with the JVM's own recorder, which is not supported: remove it")]
    JvmRecorder,
    #[error("{0} needs a value behind it")]
    NoValue(String),
    #[error("{word}: {error}")]
    Value { word: String, error: BadValue },
}

/// The options that the words stand for, in their order.
///
/// # Errors
/// A word that is none of asprof's, or is not for a configuration to say.
pub(super) fn options_of(words: &[String]) -> Result<AgentOptions, WordError> {
    let mut options = AgentOptions::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match meaning_of(word)? {
            Meaning::Flag(name) => options.add_flag(name),
            Meaning::Value(name) => {
                let value = words.next().ok_or_else(|| WordError::NoValue(word.clone()))?;
                let added = options.add(name, &without_commas(name, value));
                added.map_err(|error| WordError::Value { word: word.clone(), error })?;
            }
        }
    }
    Ok(options)
}

enum Meaning {
    Flag(&'static str),
    /// The next word is its value.
    Value(&'static str),
}

/// Named by the agent as by the launcher.
const FLAGS: [&str; 13] = [
    "all",
    "live",
    "nobatch",
    "nofree",
    "nostop",
    "record-cpu",
    "sched",
    "tlab",
    "ttsp",
    // Of the text and the graphs that asprof makes, and without effect on a recording.
    "inverted",
    "reverse",
    "samples",
    "total",
];
const VALUES: [&str; 23] = [
    "alloc",
    "begin",
    "chunksize",
    "chunktime",
    "clock",
    "cstack",
    "end",
    "filter",
    "jfropts",
    "lock",
    "memlimit",
    "nativelock",
    "nativemem",
    "proc",
    "ratelimit",
    "signal",
    "target-cpu",
    "trace",
    "wall",
    // As above.
    "height",
    "minwidth",
    "title",
    "width",
];

fn meaning_of(word: &str) -> Result<Meaning, WordError> {
    Ok(match word {
        "-e" | "--event" => Meaning::Value("event"),
        "-i" | "--interval" => Meaning::Value("interval"),
        "-j" | "--jstackdepth" => Meaning::Value("jstackdepth"),
        "-t" | "--threads" => Meaning::Flag("threads"),
        "-s" | "--simple" => Meaning::Flag("simple"),
        "-n" | "--norm" => Meaning::Flag("norm"),
        "-g" | "--sig" => Meaning::Flag("sig"),
        "-a" | "--ann" => Meaning::Flag("ann"),
        "-l" | "--lib" => Meaning::Flag("lib"),
        "-I" | "--include" => Meaning::Value("include"),
        "-X" | "--exclude" => Meaning::Value("exclude"),
        "-L" | "--log" => Meaning::Value("loglevel"),
        "-F" | "--features" => Meaning::Value("features"),
        "--all-user" => Meaning::Flag("alluser"),
        "--jfrsync" => return Err(WordError::JvmRecorder),
        "-d" | "-f" | "-o" | "--timeout" | "--loop" | "--libpath" | "--fdtransfer" => {
            return Err(WordError::Ours(word.to_owned()));
        }
        _ => {
            let among =
                |names: &[&'static str]| names.iter().find(|name| word.strip_prefix("--") == Some(name)).copied();
            let flag = || among(&FLAGS).map(Meaning::Flag);
            let value = || among(&VALUES).map(Meaning::Value);
            flag().or_else(value).ok_or_else(|| WordError::Unknown(word.to_owned()))?
        }
    })
}

/// Where the launcher writes lists with commas, the agent, for which commas stand between options, has another sign.
fn without_commas(name: &str, value: &str) -> String {
    let sign = match name {
        "features" => "+",
        "filter" | "ratelimit" => ";",
        // An event of the CPU's own counters: cpu/umask=0x1,event=0xd3/
        "event" if value.ends_with('/') => ":",
        _ => ",",
    };
    value.replace(',', sign)
}
