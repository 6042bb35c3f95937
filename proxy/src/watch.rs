//! A file or folder that is watched for changes.
//!
//! What is watched are the folders that hold the path's name, and the names of the symbolic links on the way to it: a
//! file that is written in place, one that is renamed over it, and Kubernetes' swap of `..data` are all seen. Where the
//! file system tells nothing (NFS, FUSE, a limit of the kernel) polling remains.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use alloy_syntax::TextValue;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use self::notifications::Notifications;

mod notifications;
mod places;

/// So long nothing must happen before something is read, so that what is half written is mostly not. The reference
/// waits as long, once.
const QUIET: Duration = Duration::from_millis(30);
/// What never comes to rest is read after this time.
const LONGEST_UNREST: Duration = Duration::from_millis(500);

/// How changes are detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detector {
    /// The file system tells, and polling besides.
    #[default]
    Fsnotify,
    /// Polling alone.
    Poll,
}

impl TextValue for Detector {
    fn parse_text(text: &str) -> Result<Self, String> {
        match text {
            "" | "fsnotify" => Ok(Self::Fsnotify),
            "poll" => Ok(Self::Poll),
            _ => Err("is no detector: write \"fsnotify\" or \"poll\"".to_owned()),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Fsnotify => "fsnotify",
            Self::Poll => "poll",
        }
        .to_owned()
    }
}

/// What is watched, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchSettings {
    /// A file or folder; need not exist.
    pub path: PathBuf,
    /// How changes are detected.
    pub detector: Detector,
    /// How often it may have changed without a word; longer than 0.
    pub poll_frequency: Duration,
}

/// A running watch; dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    settings: WatchSettings,
    /// Holds one notice at most, however much happens.
    told: Arc<Notify>,
    notifications: Option<Notifications>,
    began: bool,
    /// Whether the log says already that only polling is left.
    warned: bool,
}

impl Watch {
    /// A watch that begins with the first call of [`changed`](Self::changed).
    pub fn new(settings: WatchSettings) -> Self {
        Self { settings, told: Arc::default(), notifications: None, began: false, warned: false }
    }

    /// Waits until there may be something new to read: at once when called for the first time, since nobody knows what
    /// has happened before. What happens after it returned is told by the next call.
    pub async fn changed(&mut self) {
        if self.began {
            tokio::select! {
                () = self.told.notified() => self.settle().await,
                () = sleep(self.settings.poll_frequency) => {}
            }
        }
        // Before anything is read: what happens from here on is noticed.
        self.listen().await;
        self.began = true;
    }

    async fn settle(&self) {
        let began = Instant::now();
        while timeout(QUIET, self.told.notified()).await.is_ok() && began.elapsed() < LONGEST_UNREST {}
    }

    /// Listens where the path leads to by now.
    async fn listen(&mut self) {
        if self.settings.detector == Detector::Poll {
            return;
        }
        let (path, told, before) = (self.settings.path.clone(), self.told.clone(), self.notifications.take());
        // Looks at the file system, which may take its time.
        let listening = tokio::task::spawn_blocking(move || Notifications::of(&path, &told, before));
        let error = match listening.await {
            Ok(Ok(notifications)) => {
                self.notifications = Some(notifications);
                self.warned = false;
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(aborted) => aborted.to_string(),
        };
        if !std::mem::replace(&mut self.warned, true) {
            let path = self.settings.path.display();
            tracing::warn!(%path, err = %error, "the file system tells of no changes: looking from time to time");
        }
    }
}

#[cfg(test)]
mod tests;
