//! All queues of a process: one folder each, beneath one root.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crate::files::DiskFolder;
use crate::limits::{Limits, Recovered, Stats};
use crate::log::Log;
use crate::queue::{Lease, Queue, lock};
use crate::rejected::{Rejected, RejectedRecords};
use crate::writer::{Shared, Writer};

const LOCK: &str = "lock";
/// Says how old records may become, for whoever finds the folder when nobody uses it any more.
const MAX_AGE: &str = "max-age";
/// The least room that an empty queue starts with.
const PROBE: usize = 64 << 10;

/// The queues of a process. Who opens one that is open gets the same one, so that a reload hands it over.
#[derive(Debug)]
pub struct Queues {
    root: PathBuf,
    open: Mutex<HashMap<String, Open>>,
}

#[derive(Debug)]
struct Open {
    lease: Weak<Lease>,
    thread: JoinHandle<()>,
}

/// Why a queue cannot be opened. Damage is no reason.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The name would lead elsewhere.
    #[error("{0:?} cannot be the name of a queue's folder: it has to be one part of a path")]
    Name(String),
    /// Another process has it.
    #[error("the queue in {} is in use by another process; one queue cannot be shared", .0.display())]
    Locked(PathBuf),
    /// The folder cannot be used.
    #[error("the queue in {} cannot be opened: {source}; the folder has to be readable and writable", .path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
}

/// A folder that no queue of this process uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Its name.
    pub name: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// When one of its segments was last written.
    pub written: SystemTime,
    /// How old its records may become, as those said who used it last.
    pub max_age: Duration,
}

/// A folder, as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Whether a process has it.
    pub in_use: bool,
    /// What waits in it.
    pub stats: Stats,
}

impl Queues {
    /// Those beneath this folder; nothing is touched yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), open: Mutex::default() }
    }

    /// The queue of that name. It blocks while it reads what is there. A queue that is open keeps its limits, see
    /// [`Queue::set_limits`], and has nothing to recover.
    ///
    /// # Errors
    /// The folder cannot be made, read or written, or another process has it. A disk that is full is an error where
    /// nothing waits: what waits makes room when it is sent.
    pub fn open(&self, name: &str, limits: Limits) -> Result<(Queue, Recovered), OpenError> {
        let path = self.path(name)?;
        let mut open = lock(&self.open);
        if let Some(lease) = open.get(name).and_then(|open| open.lease.upgrade()) {
            keep_max_age(&path, limits.max_age);
            return Ok((Queue::from_lease(lease), Recovered::default()));
        }
        if let Some(Open { thread, .. }) = open.remove(name) {
            // It is about to end, and has the lock until then. If it panicked it has ended as well.
            drop(thread.join());
        }
        let io = |source| OpenError::Io { path: path.clone(), source };
        let folder = DiskFolder::open(&path).map_err(io)?;
        let lock = lock_folder(&path).map_err(io)?.ok_or_else(|| OpenError::Locked(path.clone()))?;
        let (log, recovered) = Log::open(folder, limits).map_err(io)?;
        if recovered.records == 0 {
            DiskFolder::open(&path).and_then(|folder| folder.probe(PROBE)).map_err(io)?;
        }
        keep_max_age(&path, limits.max_age);
        let shared = Arc::new(Shared::new(limits, log.stats()));
        let writer = Writer { shared: Arc::clone(&shared), log, rejected: Rejected::new(&path), lock };
        let thread = writer.spawn().map_err(io)?;
        let queue = Queue::new(shared);
        open.insert(name.to_owned(), Open { lease: Arc::downgrade(queue.lease()), thread });
        Ok((queue, recovered))
    }

    /// All folders, whoever uses them; nothing is touched. It reads all that is in them.
    ///
    /// # Errors
    /// The root, or a folder, cannot be read.
    pub fn look(&self) -> io::Result<Vec<Found>> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else { continue };
            if path.join(LOCK).is_file() {
                let (log, _) = Log::read(DiskFolder::open(&path)?, Limits::default())?;
                found.push(Found { name, in_use: is_locked(&path), stats: log.stats() });
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// What was rejected from the queue of that name, which is in use by nobody else meanwhile.
    ///
    /// # Errors
    /// The folder cannot be used, or is in use.
    pub fn rejected(&self, name: &str) -> Result<RejectedRecords, OpenError> {
        let path = self.path(name)?;
        let io = |source| OpenError::Io { path: path.clone(), source };
        let lock = lock_folder(&path).map_err(io)?.ok_or_else(|| OpenError::Locked(path.clone()))?;
        RejectedRecords::open(&path, lock).map_err(io)
    }

    /// The folder of the queue of that name.
    ///
    /// # Errors
    /// It is no name of a folder.
    pub fn folder(&self, name: &str) -> Result<PathBuf, OpenError> {
        self.path(name)
    }

    /// Folders that no queue of this or another process uses.
    ///
    /// # Errors
    /// The root cannot be listed.
    pub fn orphans(&self) -> io::Result<Vec<Orphan>> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut open = lock(&self.open);
        reap(&mut open);
        let mut orphans = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if open.contains_key(&name) || !entry.path().join(LOCK).is_file() || is_locked(&entry.path()) {
                continue;
            }
            let (bytes, written) = measure(&entry.path())?;
            orphans.push(Orphan { name, bytes, written, max_age: max_age(&entry.path()) });
        }
        orphans.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(orphans)
    }

    /// Removes a folder that no queue uses, and all that waits in it.
    ///
    /// # Errors
    /// It is in use, or cannot be removed.
    pub fn remove_orphan(&self, name: &str) -> Result<(), OpenError> {
        let path = self.path(name)?;
        let mut open = lock(&self.open);
        reap(&mut open);
        let io = |source| OpenError::Io { path: path.clone(), source };
        let lock = if open.contains_key(name) { None } else { lock_folder(&path).map_err(io)? };
        let _lock = lock.ok_or_else(|| OpenError::Locked(path.clone()))?;
        fs::remove_dir_all(&path).map_err(io)
    }

    fn path(&self, name: &str) -> Result<PathBuf, OpenError> {
        let mut parts = Path::new(name).components();
        match (parts.next(), parts.next()) {
            (Some(Component::Normal(part)), None) if part == name => Ok(self.root.join(name)),
            _ => Err(OpenError::Name(name.to_owned())),
        }
    }
}

impl Drop for Queues {
    /// Waits for those that nobody uses any more, so that their folders are free.
    fn drop(&mut self) {
        reap(&mut lock(&self.open));
    }
}

/// Waits for the threads of those that nobody uses any more: they are about to end, and have their locks until then.
fn reap(open: &mut HashMap<String, Open>) {
    for (_, unused) in open.extract_if(|_, open| open.lease.strong_count() == 0) {
        // If it panicked it has ended as well.
        drop(unused.thread.join());
    }
}

/// That it cannot be written is no reason not to start: what reads it has a default.
fn keep_max_age(folder: &Path, max_age: Duration) {
    let (path, text) = (folder.join(MAX_AGE), max_age.as_secs().to_string());
    if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
        drop(fs::write(path, text));
    }
}

fn max_age(folder: &Path) -> Duration {
    let text = fs::read_to_string(folder.join(MAX_AGE)).ok();
    let seconds = text.and_then(|text| text.parse().ok());
    seconds.map_or(Limits::default().max_age, Duration::from_secs)
}

/// None where another process has it.
fn lock_folder(path: &Path) -> io::Result<Option<fs::File>> {
    let file = fs::File::options().write(true).create(true).truncate(false).open(path.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

fn is_locked(path: &Path) -> bool {
    fs::File::open(path.join(LOCK))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// Bytes of its segments, those of rejected records among them, and when the last one was written.
fn measure(folder: &Path) -> io::Result<(u64, SystemTime)> {
    let (mut bytes, mut written) = (0, SystemTime::UNIX_EPOCH);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        if about.is_dir() {
            let (inner, newest) = measure(&entry.path())?;
            bytes += inner;
            written = written.max(newest);
        } else if entry.path().extension().is_some_and(|extension| extension == "segment") {
            bytes += about.len();
            written = written.max(about.modified()?);
        }
    }
    Ok((bytes, written))
}
