//! Machine code of filters, kept on disk: to compile takes seconds, to load it again milliseconds.
//!
//! Whoever can write this code into the process owns the process. So the folder belongs to our user and is closed to
//! all others, no symbolic link is followed in it, and each file carries a MAC over its name and content under a key
//! that lies in the same folder, readable by our user alone. It protects against whoever could place a file there
//! (a restored backup, a shared volume, a path chosen by another component), and not against our own user.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::fs::{fstat, futimens, mkdirat, open, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use super::compiler::OwnCode;

/// Most bytes of all files together; beyond it the ones go that were not used for longest.
const MAX_BYTES: u64 = 512 << 20;
/// Most bytes of one file.
const MAX_FILE: u64 = 256 << 20;
const KEY_NAME: &str = "key";
const KEY_BYTES: usize = 32;
const MAC_BYTES: usize = 32;
/// What stands behind the names of files of code, and of those that are being written.
const SUFFIX: &str = ".cwasm";
const UNFINISHED: &str = ".new";
/// Older unfinished files were left by a process that ended.
const ABANDONED: Duration = Duration::from_secs(3600);

/// A folder of compiled filters.
#[derive(Debug)]
pub(super) struct CodeStore {
    path: PathBuf,
    folder: OwnedFd,
    key: hmac::Key,
    max_bytes: u64,
}

/// What a store has under a name.
#[derive(Debug)]
pub(super) enum Found {
    /// What was kept there, by us.
    Code(OwnCode),
    /// Nothing.
    Nothing,
    /// Something that is not from us, or not whole; it is deleted by now.
    Foreign,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("{what} {}: {error}", path.display())]
    Io { what: &'static str, path: PathBuf, error: io::Error },
    #[error("{} must belong to the user that runs this process, and be closed to all others: chmod {mode:o}", path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("{} is no key: remove it, and another one is made", .0.display())]
    NoKey(PathBuf),
}

impl CodeStore {
    /// Opens a folder, or makes it with a new key in it.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        Self::bounded(path, MAX_BYTES)
    }

    fn bounded(path: &Path, max_bytes: u64) -> Result<Self, StoreError> {
        let failed = |what| move |error: io::Error| StoreError::Io { what, path: path.to_owned(), error };
        if let Some(above) = path.parent() {
            std::fs::create_dir_all(above).map_err(failed("cannot make the folder of"))?;
        }
        match mkdirat(rustix::fs::CWD, path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed("cannot make the folder")(error.into())),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = open(path, flags, Mode::empty()).map_err(|error| failed("cannot open")(error.into()))?;
        let stat = fstat(&folder).map_err(|error| failed("cannot look at")(error.into()))?;
        if !is_ours_alone(&stat) {
            return Err(StoreError::Open { path: path.to_owned(), mode: 0o700 });
        }
        let key = key(&folder, path)?;
        Ok(Self { path: path.to_owned(), folder, key, max_bytes })
    }

    /// What was kept under this name.
    pub(super) fn load(&self, name: &str) -> Found {
        let name = file_name(name);
        let file = match self.open_file(&name) {
            Ok(Some(file)) => file,
            Ok(None) => return Found::Nothing,
            Err(error) => return self.foreign(&name, &error.to_string()),
        };
        let mut content = Vec::new();
        match (&file).take(MAX_FILE + 1).read_to_end(&mut content) {
            Ok(_) if content.len() as u64 <= MAX_FILE => {}
            Ok(_) => return self.foreign(&name, "it is too large"),
            Err(error) => return self.foreign(&name, &error.to_string()),
        }
        let Some((mac, code)) = content.split_at_checked(MAC_BYTES) else {
            return self.foreign(&name, "it is too short");
        };
        if hmac::verify(&self.key, &authenticated(&name, code), mac).is_err() {
            return self.foreign(&name, "it was not written with the key of this folder");
        }
        // The order in which files go; where it cannot be told, this one goes a little earlier.
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let same = rustix::fs::Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let _touched = futimens(&file, &Timestamps { last_access: same, last_modification: now }).is_ok();
        content.drain(..MAC_BYTES);
        Found::Code(OwnCode::authenticated(content))
    }

    /// Keeps code under a name. That it cannot be kept is logged.
    pub(super) fn keep(&self, name: &str, code: &OwnCode) {
        if code.bytes().len() as u64 + MAC_BYTES as u64 > MAX_FILE {
            return;
        }
        if let Err(error) = self.write(&file_name(name), code.bytes()) {
            let path = self.path.display();
            tracing::warn!(%path, err = %error, "a compiled filter cannot be kept: it is compiled again next time");
        }
        self.make_room();
    }

    fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        let mac = hmac::sign(&self.key, &authenticated(name, code));
        let unfinished = format!("{:016x}{UNFINISHED}", fastrand::u64(..));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.folder, &unfinished, flags, Mode::RUSR | Mode::WUSR)?);
        let written = file.write_all(mac.as_ref()).and_then(|()| file.write_all(code));
        let moved = written.and_then(|()| Ok(renameat(&self.folder, &unfinished, &self.folder, name)?));
        if moved.is_err() {
            let _gone = unlinkat(&self.folder, &unfinished, AtFlags::empty()).is_ok();
        }
        moved
    }

    /// A regular file of ours; none where there is nothing of the name.
    fn open_file(&self, name: &str) -> io::Result<Option<File>> {
        // A pipe would block until someone writes to it.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(&self.folder, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || !is_ours_alone(&stat) {
            return Err(io::Error::other("it is no file of our user alone"));
        }
        Ok(Some(File::from(file)))
    }

    fn foreign(&self, name: &str, reason: &str) -> Found {
        let path = self.path.join(name);
        tracing::error!(path = %path.display(), reason, "a compiled filter was not kept by us: deleted, and compiled again");
        if let Err(error) = unlinkat(&self.folder, name, AtFlags::empty()) {
            tracing::warn!(path = %path.display(), err = %error, "it cannot be deleted");
        }
        Found::Foreign
    }

    /// Deletes what was not used for longest until the rest has room, and what was never finished.
    fn make_room(&self) {
        let Ok(entries) = Dir::read_from(&self.folder) else { return };
        let mut files = Vec::new();
        let mut bytes = 0;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Ok(text) = name.to_str() else { continue };
            let Ok(stat) = statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let age = age.saturating_sub(u64::try_from(stat.st_mtime).unwrap_or_default());
            if text.ends_with(UNFINISHED) && age > ABANDONED.as_secs() {
                let _gone = unlinkat(&self.folder, name, AtFlags::empty()).is_ok();
            } else if text.ends_with(SUFFIX) {
                let size = u64::try_from(stat.st_size).unwrap_or_default();
                bytes += size;
                files.push((stat.st_mtime, stat.st_mtime_nsec, size, name.to_owned()));
            }
        }
        files.sort_unstable();
        for (.., size, name) in files {
            if bytes <= self.max_bytes {
                return;
            }
            if unlinkat(&self.folder, &name, AtFlags::empty()).is_ok() {
                bytes -= size;
            }
        }
    }
}

/// The key of a folder: the one that is there, or a new one.
fn key(folder: &OwnedFd, path: &Path) -> Result<hmac::Key, StoreError> {
    let path = path.join(KEY_NAME);
    let failed = |what, error: io::Error| StoreError::Io { what, path: path.clone(), error };
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = match openat(folder, KEY_NAME, OFlags::RDONLY | flags, Mode::empty()) {
        Err(Errno::NOENT) => {
            let mut bytes = [0; KEY_BYTES];
            let random = SystemRandom::new().fill(&mut bytes);
            random.map_err(|_| failed("no random bytes for", io::Error::other("the system has none")))?;
            // Under another name first: whoever opens the key finds it whole.
            let unfinished = format!("{:016x}{UNFINISHED}", fastrand::u64(..));
            let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | flags;
            let made = openat(folder, &unfinished, create, Mode::RUSR | Mode::WUSR).map_err(io::Error::from);
            let made = made.and_then(|file| File::from(file).write_all(&bytes));
            // Of two processes that come at once one is first, and its key is everyone's.
            let linked =
                made.and_then(|()| match rustix::fs::linkat(folder, &unfinished, folder, KEY_NAME, AtFlags::empty()) {
                    Ok(()) | Err(Errno::EXIST) => Ok(()),
                    Err(error) => Err(error.into()),
                });
            let _gone = unlinkat(folder, &unfinished, AtFlags::empty()).is_ok();
            linked.map_err(|error| failed("cannot write", error))?;
            openat(folder, KEY_NAME, OFlags::RDONLY | flags, Mode::empty())
        }
        opened => opened,
    };
    let file = opened.map_err(|error| failed("cannot open", error.into()))?;
    let stat = fstat(&file).map_err(|error| failed("cannot look at", error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(StoreError::NoKey(path));
    }
    if !is_ours_alone(&stat) {
        return Err(StoreError::Open { path, mode: 0o600 });
    }
    let mut bytes = Vec::with_capacity(KEY_BYTES);
    let read = File::from(file).take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| failed("cannot read", error))?;
    if bytes.len() != KEY_BYTES {
        return Err(StoreError::NoKey(path));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

fn is_ours_alone(stat: &rustix::fs::Stat) -> bool {
    stat.st_uid == rustix::process::geteuid().as_raw() && stat.st_mode & 0o077 == 0
}

fn file_name(name: &str) -> String {
    format!("{name}{SUFFIX}")
}

/// What the MAC is of: the name too, or files could take each other's places.
fn authenticated(name: &str, code: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(8 + name.len() + code.len());
    all.extend_from_slice(&(name.len() as u64).to_le_bytes());
    all.extend_from_slice(name.as_bytes());
    all.extend_from_slice(code);
    all
}

#[cfg(test)]
mod tests;
