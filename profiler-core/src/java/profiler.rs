//! async-profiler in one JVM: placed, started, stopped, removed.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use super::attach::{self, Loaded};
use super::error::ProfilerError;
use super::jvm::{Jvm, NotAttachable};
use super::library::Library;
use super::placement::{LOG, Placement, RECORDING, TmpDir};
use super::recording::{End, Recording};
use crate::process::{Source, executable_memory};

/// Options that the profiler gives itself, or that write elsewhere than to the recording.
const RESERVED: [&str; 22] = [
    "start",
    "resume",
    "stop",
    "dump",
    "check",
    "status",
    "meminfo",
    "metrics",
    "list",
    "version",
    "file",
    "log",
    "timeout",
    "loop",
    "jfr",
    "jfrsync",
    "collapsed",
    "flamegraph",
    "tree",
    "traces",
    "flat",
    "otlp",
];
/// Of the agent's log: a few lines.
const LONGEST_LOG: u64 = 16 << 10;
/// What the agent says where one runs, and where none does.
const ALREADY: &str = "already started";
const NOT_ACTIVE: &str = "not active";
/// What a copy of it says of itself.
const RUNNING: &str = "is running";

/// async-profiler in a JVM. Dropped, it stops what it records, without reading it, and removes what it has placed.
#[derive(Debug)]
pub struct Profiler {
    jvm: Jvm,
    placement: Placement,
    recording: Option<File>,
}

impl Profiler {
    /// Places the library in the target's files, in a folder below `tmp_dir` that is the target's user's alone.
    ///
    /// # Errors
    /// No folder of the target can hold it, or another process has placed its own there.
    pub fn place(jvm: Jvm, library: &Library, tmp_dir: &TmpDir) -> Result<Self, ProfilerError> {
        let placement = Placement::make(&jvm, library, tmp_dir)?;
        Ok(Self { jvm, placement, recording: None })
    }

    /// The JVM that it is in.
    #[must_use]
    pub fn jvm(&self) -> &Jvm {
        &self.jvm
    }

    /// The folder that the library is in, as the target sees it.
    #[must_use]
    pub fn folder(&self) -> &str {
        self.placement.path()
    }

    /// Whether something is recorded, and not stopped yet.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// Starts to record. `options` are the agent's own, with commas between, such as `event=cpu,interval=10ms`; the
    /// recording ends by itself after `timeout`, in full seconds, so that it does where this process dies.
    ///
    /// # Errors
    /// The options cannot be handed over, the JVM does not answer, or the agent refuses. A profiler that someone else
    /// runs in the JVM goes on.
    pub fn start(&mut self, options: &str, timeout: Duration) -> Result<(), ProfilerError> {
        check(options)?;
        if self.is_recording() {
            return Err(ProfilerError::Options { problem: "a recording is under way".to_owned() });
        }
        let path = self.placement.path_of(RECORDING);
        let options = options.trim_matches(',');
        let comma = if options.is_empty() { "" } else { "," };
        let command = format!("start,{options}{comma}quiet,jfr,file={path},timeout={}", timeout.as_secs().max(1));
        let others = self.other_copies()?;
        let begin = || self.as_target(|| self.begin(&command, &others));
        let recording = match begin() {
            Err(ProfilerError::AlreadyRunning { .. }) if self.is_orphaned() => {
                self.as_target(|| self.command("stop"))?;
                begin()?
            }
            begun => begun?,
        };
        self.recording = Some(recording);
        Ok(())
    }

    /// Stops, and returns what was recorded. None where nothing was started. When it fails, what was recorded is lost.
    ///
    /// # Errors
    /// The JVM does not answer, or the recording is empty or too large. Where the JVM has ended, what it has written
    /// until then is returned.
    pub fn stop(&mut self) -> Result<Option<Recording>, ProfilerError> {
        let Some(file) = self.recording.take() else { return Ok(None) };
        let end = match self.as_target(|| self.command("stop")) {
            Ok(()) => End::Stopped,
            Err(ProfilerError::Agent { message }) if message.contains(NOT_ACTIVE) => End::Before,
            Err(ProfilerError::NotAttachable(NotAttachable::Gone)) => End::WithTarget,
            Err(_) if !self.jvm.is_alive() => End::WithTarget,
            Err(error) => return Err(error),
        };
        Recording::of(file, end).map(Some)
    }

    /// The file of a recording that has begun. As the target's user.
    fn begin(&self, command: &str, others: &[String]) -> Result<File, ProfilerError> {
        for copy in others {
            self.check_idle(copy)?;
        }
        let file = self.placement.create(RECORDING).map_err(ProfilerError::system("make the recording's file"))?;
        let started = self.command(command);
        // It needs no name any more, and what has none cannot be left behind.
        let unlinked = self.placement.unlink(RECORDING);
        started?;
        unlinked.map_err(ProfilerError::system("remove the recording's name"))?;
        Ok(file)
    }

    /// Whether what runs in the JVM was started by an earlier process of this program, which has not stopped it: it
    /// writes to a file in this folder, and whoever has the folder's lock lives no more.
    fn is_orphaned(&self) -> bool {
        /// A JVM has a file open for each jar and connection.
        const MOST: usize = 1 << 20;
        let Ok(files) = std::fs::read_dir(format!("/proc/{}/fd", self.jvm.pid())) else { return false };
        let recording = format!("/{}/{RECORDING}", self.placement.name());
        files.take(MOST).flatten().any(|file| {
            std::fs::read_link(file.path()).is_ok_and(|target| target.to_string_lossy().contains(&recording))
        })
    }

    /// Other copies of async-profiler in the JVM's memory. Two of them that run would take each other's timers and
    /// signals, and neither knows of the other.
    fn other_copies(&self) -> Result<Vec<String>, ProfilerError> {
        let memory = executable_memory(self.jvm.pid()).map_err(NotAttachable::from)?;
        /// Each of them is asked.
        const MOST: usize = 4;
        let own = self.placement.library();
        let mut copies = Vec::new();
        for memory in memory {
            let Source::File { path, .. } = memory.source else { continue };
            let path = path.strip_suffix(" (deleted)").unwrap_or(&path);
            let name = path.rsplit('/').next().unwrap_or_default();
            let is_copy = name.starts_with("libasyncProfiler") && path != own;
            if is_copy && copies.len() < MOST && !copies.iter().any(|copy| copy == path) {
                copies.push(path.to_owned());
            }
        }
        Ok(copies)
    }

    /// Asks a copy whether it runs; one that does not answer that is taken not to.
    fn check_idle(&self, copy: &str) -> Result<(), ProfilerError> {
        match self.load(copy, "status,file=") {
            Ok((Loaded::Done, message)) if message.contains(RUNNING) => Err(ProfilerError::AlreadyRunning { message }),
            Ok(_) | Err(ProfilerError::Options { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// One command to the agent, as the target's user.
    fn command(&self, command: &str) -> Result<(), ProfilerError> {
        match self.load(&self.placement.library(), &format!("{command},log="))? {
            (Loaded::Done, _) => Ok(()),
            (Loaded::Refused(message), _) => Err(ProfilerError::NotLoaded { message }),
            (Loaded::AgentFailed, message) if message.contains(ALREADY) => {
                Err(ProfilerError::AlreadyRunning { message })
            }
            (Loaded::AgentFailed, message) => Err(ProfilerError::Agent { message }),
        }
    }

    /// Loads an agent with a command that ends with the option that takes the name of a file, and returns what it has
    /// written there.
    fn load(&self, library: &str, command: &str) -> Result<(Loaded, String), ProfilerError> {
        let log = self.placement.create(LOG).map_err(ProfilerError::system("make the agent's log"))?;
        let loaded = attach::load(&self.jvm, library, &format!("{command}{}", self.placement.path_of(LOG)));
        // The agent keeps it open, and what it warns of later goes nowhere.
        self.placement.unlink(LOG).map_err(ProfilerError::system("remove the agent's log"))?;
        Ok((loaded?, message(&log)))
    }

    fn as_target<T: Send>(&self, work: impl FnOnce() -> Result<T, ProfilerError> + Send) -> Result<T, ProfilerError> {
        self.jvm.user().act(work).map_err(ProfilerError::system("act as the target's user"))?
    }
}

impl Drop for Profiler {
    fn drop(&mut self) {
        if self.is_recording() {
            // Where that fails it ends by itself, after its time.
            let _goes_on = self.as_target(|| self.command("stop"));
        }
    }
}

fn check(options: &str) -> Result<(), ProfilerError> {
    let refuse = |problem| Err(ProfilerError::Options { problem });
    for option in options.split(',') {
        let name = option.split('=').next().unwrap_or_default();
        if RESERVED.contains(&name) {
            return refuse(format!("the agent's option {name} is given by the profiler itself"));
        }
        if let Some(char) = option.chars().find(|char| char.is_control()) {
            return refuse(format!("the agent's option {name} holds {char:?}"));
        }
    }
    Ok(())
}

/// What the agent has written to its log, of which the beginning is kept.
fn message(log: &File) -> String {
    let mut bytes = Vec::new();
    let read = log.take(LONGEST_LOG).read_to_end(&mut bytes);
    let text = attach::excerpt(&bytes);
    match read {
        Ok(_) if !text.is_empty() => text.trim_start_matches("[ERROR]").trim().to_owned(),
        _ => "it failed and its log says nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_would_write_elsewhere_are_refused_by_name() {
        for options in ["", "event=cpu,interval=10ms", "event=wall,alloc=512k,lock=10ms,threads", "include=*file=*"] {
            assert!(check(options).is_ok(), "{options}");
        }
        for (options, name) in
            [("event=cpu,file=/etc/passwd", "file"), ("stop", "stop"), ("cpu,jfrsync=profile", "jfrsync")]
        {
            let error = check(options).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        assert!(check("event=a\0b").is_err());
    }
}
