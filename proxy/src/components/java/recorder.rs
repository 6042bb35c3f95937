//! What is said to one JVM. All of it blocks.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use profiler_core::java::{Jvm, Profiler, Recording};

use super::failure::Failure;
use super::plan::Settings;

/// After its interval a recording has as long to be stopped. Then it ends by itself, as it does when this process dies.
const GRACE: Duration = Duration::from_secs(10);

/// A JVM that is recorded.
pub(super) struct Recorder {
    profiler: Profiler,
    settings: Arc<Settings>,
}

/// What comes of the end of a recording.
pub(super) struct Turn {
    pub(super) recording: Result<Option<Recording>, Failure>,
    /// The recording that follows, where one was wanted.
    pub(super) next: Option<Result<Recorder, Failure>>,
    /// Whether the process has ended by then.
    pub(super) has_ended: bool,
}

impl Recorder {
    /// Attaches to a process and begins to record.
    ///
    /// # Errors
    /// It cannot be recorded.
    pub(super) fn begin(pid: u32, settings: Arc<Settings>) -> Result<Self, Failure> {
        Self::in_jvm(Jvm::open(pid)?, settings)
    }

    /// With what is readable when the process has ended.
    ///
    /// # Errors
    /// No file can be opened any more.
    pub(super) fn watched(self) -> Result<(Self, OwnedFd), Failure> {
        let process = self.profiler.jvm().as_fd().try_clone_to_owned().map_err(Failure::Watch)?;
        Ok((self, process))
    }

    /// Ends the recording and begins the next one in the same breath; where none is wanted, nothing is left in the JVM.
    pub(super) fn turn(mut self, next: Option<Arc<Settings>>) -> Turn {
        let recording = self.profiler.stop().map_err(Failure::from);
        let has_ended = !self.profiler.jvm().is_alive();
        let next = next.filter(|_| !has_ended).map(|settings| self.go_on(settings));
        Turn { recording, next, has_ended }
    }

    fn go_on(mut self, settings: Arc<Settings>) -> Result<Self, Failure> {
        if self.settings.is_placed_as(&settings) {
            self.settings = settings;
            self.start()?;
            return Ok(self);
        }
        let pid = self.profiler.jvm().pid();
        drop(self);
        Self::begin(pid, settings)
    }

    fn in_jvm(jvm: Jvm, settings: Arc<Settings>) -> Result<Self, Failure> {
        let profiler = Profiler::place(jvm, &settings.library, &settings.tmp_dir)?;
        let mut recorder = Self { profiler, settings };
        recorder.start()?;
        Ok(recorder)
    }

    fn start(&mut self) -> Result<(), Failure> {
        Ok(self.profiler.start(&self.settings.options, self.settings.interval + GRACE)?)
    }
}
