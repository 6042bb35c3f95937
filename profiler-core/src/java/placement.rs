//! The folder in a target's files that holds the library, and for moments a recording and a log.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Stat, StatVfsMountFlags, fchmod, flock, fstat, fstatvfs,
    mkdirat, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::error::ProfilerError;
use super::jvm::Jvm;
use super::library::Library;
use super::rights::User;

/// All folders' names begin so.
pub(super) const PREFIX: &str = "flamegate-asprof-";
/// Where the configured folder cannot be used: what images have and mount separately.
const OTHERS: [&str; 4] = ["/tmp", "/var/tmp", "/dev/shm", "/run"];
const LIBRARY: &str = "libasyncProfiler.so";
const UNFINISHED_LIBRARY: &str = "libasyncProfiler.so.new";
pub(super) const RECORDING: &str = "recording.jfr";
pub(super) const LOG: &str = "agent.log";
const FILES: [&str; 4] = [LIBRARY, UNFINISHED_LIBRARY, RECORDING, LOG];
/// How often a folder may vanish between making and locking it.
const ATTEMPTS: usize = 3;

/// A folder of targets, as they see it, that their files are placed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TmpDir(String);

/// Why a text names no folder for files of targets.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} {1}")]
pub struct TmpDirError(String, &'static str);

impl TmpDir {
    /// The agent's options are told apart by commas, and file names in them have patterns with percent signs.
    const FORBIDDEN: [char; 2] = [',', '%'];
    /// Together with names and options it has to fit into an argument.
    const LONGEST: usize = 200;

    /// Takes an absolute path.
    ///
    /// # Errors
    /// It is none, or holds something that the agent could not be told.
    pub fn parse(path: &str) -> Result<Self, TmpDirError> {
        let refuse = |problem| Err(TmpDirError(path.to_owned(), problem));
        if !path.starts_with('/') || path.split('/').any(|part| part == "..") {
            return refuse("is no absolute path without \"..\"");
        }
        if path.len() > Self::LONGEST {
            return refuse("is longer than 200 bytes");
        }
        if path.contains(|char: char| char.is_control() || Self::FORBIDDEN.contains(&char)) {
            return refuse("holds a comma, a percent sign or a control character");
        }
        Ok(Self(path.trim_end_matches('/').to_owned()))
    }

    /// This folder, then those that are there in its stead.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &str> {
        [self.0.as_str()].into_iter().chain(OTHERS.into_iter().filter(|other| *other != self.0))
    }
}

/// A locked folder of a target's user that nobody else may write; removed when it is dropped.
#[derive(Debug)]
pub(super) struct Placement {
    user: User,
    parent: OwnedFd,
    folder: OwnedFd,
    /// As the target sees it.
    path: String,
}

impl Placement {
    /// Finds a folder that can hold it, and writes the library there.
    pub(super) fn make(jvm: &Jvm, library: &Library, tmp_dir: &TmpDir) -> Result<Self, ProfilerError> {
        // Containers may share a folder, and their own numbers are all alike.
        let name = format!("{PREFIX}{}-{}", library.short_digest(), jvm.pid());
        let trusted = !jvm.shares_files_with_host();
        let user = jvm.user();
        let made = user.act(|| {
            let mut tried = Vec::new();
            for parent in tmp_dir.candidates() {
                let path = format!("{parent}/{name}");
                let made = suitable(jvm, parent, trusted).and_then(|parent| Self::lock(user, parent, &name, &path));
                match made.and_then(|placement| placement.fill(library).map(|()| placement)) {
                    Ok(placement) => return Ok(placement),
                    Err(Unsuitable::Busy) => return Err(ProfilerError::Busy { folder: path }),
                    Err(Unsuitable::Because(problem)) => tried.push(format!("{parent} {problem}")),
                    Err(Unsuitable::System(error)) => tried.push(format!("{parent}: {error}")),
                }
            }
            Err(ProfilerError::NoPlace { tried: tried.join("; ") })
        });
        made.map_err(ProfilerError::system("act as the target's user"))?
    }

    /// The library, as the target sees it.
    pub(super) fn library(&self) -> String {
        format!("{}/{LIBRARY}", self.path)
    }

    /// A file in the folder, as the target sees it.
    pub(super) fn path_of(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// The folder, as the target sees it.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The folder's own name.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Makes an empty file, in place of what has its name. As the target's user.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        self.unlink(name)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.folder, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    /// Removes a file where there is one. As the target's user.
    pub(super) fn unlink(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.folder, name, AtFlags::empty()) {
            Err(error) if error != Errno::NOENT => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn lock(user: User, parent: OwnedFd, name: &str, path: &str) -> Result<Self, Unsuitable> {
        for _ in 0..ATTEMPTS {
            match mkdirat(&parent, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let folder = match open_folder(&parent, name) {
                Err(Errno::NOENT) => continue,
                opened => opened?,
            };
            let found = fstat(&folder)?;
            if !is_private(&found) {
                return Err(Unsuitable::Because("has a folder of that name that is not its user's alone"));
            }
            match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => return Err(Unsuitable::Busy),
                locked => locked?,
            }
            // Whoever had the lock may have removed the folder before letting go of it.
            if statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|now| same(&now, &found)) {
                return Ok(Self { user, parent, folder, path: path.to_owned() });
            }
        }
        Err(Unsuitable::Because("has a folder of that name that vanishes again and again"))
    }

    /// The library stays as it is where it is there: a JVM may have it in its memory.
    fn fill(&self, library: &Library) -> Result<(), Unsuitable> {
        for name in [RECORDING, LOG] {
            self.unlink(name)?;
        }
        if self.holds(library)? {
            return Ok(());
        }
        let mut file = self.create(UNFINISHED_LIBRARY)?;
        file.write_all(library.bytes())?;
        fchmod(&file, Mode::RUSR | Mode::XUSR)?;
        Ok(renameat(&self.folder, UNFINISHED_LIBRARY, &self.folder, LIBRARY)?)
    }

    fn holds(&self, library: &Library) -> Result<bool, Unsuitable> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = openat(&self.folder, LIBRARY, flags, Mode::empty()) else { return Ok(false) };
        let file = File::from(file);
        let (metadata, size) = (file.metadata()?, library.bytes().len() as u64);
        if !metadata.is_file() || metadata.len() != size {
            return Ok(false);
        }
        let mut bytes = Vec::new();
        file.take(size).read_to_end(&mut bytes)?;
        Ok(bytes == library.bytes())
    }
}

impl Drop for Placement {
    fn drop(&mut self) {
        // What cannot be removed now is found at the next start.
        let _left = self.user.act(|| remove(&self.parent, &self.folder, self.name()));
    }
}

/// Removes a folder that was left, with what is in it, unless someone uses it. As its owner.
pub(super) fn remove_left(parent: &OwnedFd, name: &str) -> io::Result<bool> {
    let folder = open_folder(parent, name)?;
    if !is_private(&fstat(&folder)?) || flock(&folder, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(false);
    }
    remove(parent, &folder, name).map(|()| true)
}

fn remove(parent: &OwnedFd, folder: &OwnedFd, name: &str) -> io::Result<()> {
    for file in FILES {
        match unlinkat(folder, file, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

/// Whose names are those of folders that are left.
pub(super) fn left_in(parent: &OwnedFd) -> io::Result<Vec<(String, User)>> {
    /// Of a folder with many more files than that not all are looked at.
    const MOST: usize = 100_000;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut found = Vec::new();
    for entry in Dir::read_from(openat(parent, ".", flags, Mode::empty())?)?.take(MOST) {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().ok().filter(|name| name.starts_with(PREFIX)) else { continue };
        let Ok(stat) = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            found.push((name.to_owned(), User { uid: stat.st_uid, gid: stat.st_gid }));
        }
    }
    Ok(found)
}

/// A folder of the target in which one for the library can be: in no other place than its name says, on a file system
/// that is written to and that code runs from, and where no stranger can put another one in its place.
fn suitable(jvm: &Jvm, path: &str, trusted: bool) -> Result<OwnedFd, Unsuitable> {
    let folder = jvm.root().folder_itself(path)?;
    let flags = fstatvfs(&folder)?.f_flag;
    if flags.contains(StatVfsMountFlags::RDONLY) {
        return Err(Unsuitable::Because("is read-only"));
    }
    if flags.contains(StatVfsMountFlags::NOEXEC) {
        return Err(Unsuitable::Because("is mounted noexec"));
    }
    let stat = fstat(&folder)?;
    let owned = [0, jvm.user().uid].contains(&stat.st_uid);
    let sticky = Mode::from_raw_mode(stat.st_mode).contains(Mode::SVTX);
    if !trusted && !(owned && (sticky || !others_may_write(&stat))) {
        return Err(Unsuitable::Because("lets others rename what is in it"));
    }
    Ok(folder)
}

fn open_folder(parent: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(parent, name, flags, Mode::empty())
}

/// Whether a folder is that of the user that this thread acts as, alone.
fn is_private(stat: &Stat) -> bool {
    stat.st_uid == geteuid().as_raw() && !others_may_write(stat)
}

fn others_may_write(stat: &Stat) -> bool {
    stat.st_mode & 0o022 != 0
}

fn same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// Why a folder of the target cannot be used.
enum Unsuitable {
    Because(&'static str),
    /// Someone else has locked it.
    Busy,
    System(io::Error),
}

impl From<io::Error> for Unsuitable {
    fn from(error: io::Error) -> Self {
        if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
            Self::Because("is or lies behind a link")
        } else {
            Self::System(error)
        }
    }
}

impl From<Errno> for Unsuitable {
    fn from(error: Errno) -> Self {
        Self::from(io::Error::from(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_for_files_of_targets_is_a_plain_path() {
        for path in ["/tmp", "/", "/a b/c"] {
            assert!(TmpDir::parse(path).is_ok(), "{path}");
        }
        for path in ["", "tmp", "/tmp/../etc", "/a,b", "/%p", "/a\nb", &"/a".repeat(200)] {
            assert!(TmpDir::parse(path).is_err(), "{path}");
        }
        let candidates = |path| TmpDir::parse(path).unwrap().candidates().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(candidates("/var/tmp/"), ["/var/tmp", "/tmp", "/dev/shm", "/run"]);
        assert_eq!(candidates("/data"), ["/data", "/tmp", "/var/tmp", "/dev/shm", "/run"]);
    }
}
