//! The files of one folder: the only place that touches the disk, so that a test can put another one beneath the queue.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

#[cfg(test)]
pub(crate) mod memory;

/// A folder, and what a log needs of it. What was done to its entries is durable only after [`Folder::sync`].
pub(crate) trait Folder {
    type File: File;

    /// Names of its files; names that are not UTF-8 are none of ours.
    fn list(&self) -> io::Result<Vec<String>>;
    /// A file that was not there before.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// A file to read.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes creations and removals durable.
    fn sync(&self) -> io::Result<()>;
}

/// A file. What was written is durable only after [`File::sync`].
pub(crate) trait File {
    fn len(&self) -> io::Result<u64>;
    /// Fills the buffer, or fails with `UnexpectedEof`.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all, or fails after any part of it.
    fn write_all_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()>;
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Makes content and length durable.
    fn sync(&self) -> io::Result<()>;
}

/// A folder on disk.
#[derive(Debug)]
pub(crate) struct DiskFolder {
    path: PathBuf,
    handle: fs::File,
}

impl DiskFolder {
    /// The folder, made if it is not there.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if !path.is_dir() {
            fs::create_dir_all(path)?;
            // Its name has to last as long as what is in it.
            if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                fs::File::open(parent)?.sync_all()?;
            }
        }
        Ok(Self { path: path.to_owned(), handle: fs::File::open(path)? })
    }

    /// Whether so many bytes can be written now.
    pub(crate) fn probe(&self, bytes: usize) -> io::Result<()> {
        let path = self.path.join("probe");
        let file = fs::File::create(&path)?;
        let written = File::write_all_at(&file, &[&vec![0; bytes]], 0).and_then(|()| file.sync_all());
        fs::remove_file(&path)?;
        written
    }
}

impl Folder for DiskFolder {
    type File = fs::File;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<fs::File> {
        fs::File::options().read(true).write(true).create_new(true).open(self.path.join(name))
    }

    fn open(&self, name: &str) -> io::Result<fs::File> {
        fs::File::open(self.path.join(name))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

impl File for fs::File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn write_all_at(&self, parts: &[&[u8]], mut offset: u64) -> io::Result<()> {
        let mut slices: Vec<_> = parts.iter().map(|part| io::IoSlice::new(part)).collect();
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            // The kernel takes 1,024 pieces a call (IOV_MAX).
            let (now, _) = left.split_at(left.len().min(1024));
            let written = match rustix::io::pwritev(self, now, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => written,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            offset += written as u64;
            io::IoSlice::advance_slices(&mut left, written);
        }
        Ok(())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
