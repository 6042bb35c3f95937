//! The files that a process sees, in whatever root and mount namespace it lives.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat2};

/// A process' root folder. It stays what it is when the process is gone.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl Root {
    /// Opens it.
    ///
    /// # Errors
    /// The process is gone, or may not be looked at.
    pub fn of(pid: u32) -> io::Result<Self> {
        Ok(Self(open(format!("/proc/{pid}/root"), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?))
    }

    /// A folder as the root of processes that see nothing else.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn at(folder: &Path) -> io::Result<Self> {
        Ok(Self(open(folder, OFlags::PATH | OFlags::CLOEXEC | OFlags::DIRECTORY, Mode::empty())?))
    }

    /// Opens a file for reading, as the process would: links that a container holds lead to its own files, never to
    /// the host's. Never waits for what is no regular file; the caller has to look what it is.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(&self, path: &str) -> io::Result<File> {
        self.open_with(path, OFlags::empty())
    }

    /// The same of a file that is not found through a link in its last place.
    ///
    /// # Errors
    /// It is a link, or what the system says.
    pub fn open_itself(&self, path: &str) -> io::Result<File> {
        self.open_with(path, OFlags::NOFOLLOW)
    }

    /// A folder, as the process finds it. Files can be looked up in it, not listed.
    ///
    /// # Errors
    /// What the system says.
    pub fn folder(&self, path: &str) -> io::Result<OwnedFd> {
        self.folder_with(path, ResolveFlags::NO_MAGICLINKS)
    }

    /// A folder that is where its path says: no part of it is a link.
    ///
    /// # Errors
    /// It is a link or lies behind one (`ELOOP`), or what the system says.
    pub fn folder_itself(&self, path: &str) -> io::Result<OwnedFd> {
        self.folder_with(path, ResolveFlags::NO_SYMLINKS)
    }

    fn folder_with(&self, path: &str, resolve: ResolveFlags) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::DIRECTORY;
        let resolve = ResolveFlags::IN_ROOT | resolve;
        let path = path.trim_start_matches('/');
        Ok(openat2(&self.0, if path.is_empty() { "." } else { path }, flags, Mode::empty(), resolve)?)
    }

    fn open_with(&self, path: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(openat2(&self.0, path.trim_start_matches('/'), flags, Mode::empty(), resolve)?.into())
    }
}
