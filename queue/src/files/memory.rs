//! A disk that forgets at a kill what was not synced, and fails when told to.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{File, Folder};

#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryFolder {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Debug)]
pub(crate) struct MemoryFile {
    disk: Arc<Mutex<Disk>>,
    inode: usize,
}

#[derive(Debug)]
struct Disk {
    inodes: Vec<Inode>,
    entries: BTreeMap<String, usize>,
    durable_entries: BTreeMap<String, usize>,
    /// Bytes of all files.
    capacity: usize,
    /// How many changes succeed, and how many fail then.
    succeed: u32,
    fail: u32,
    random: fastrand::Rng,
}

#[derive(Debug, Default, Clone)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
    /// After a sync that failed the system takes the pages for clean: later syncs succeed and write nothing.
    is_broken: bool,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            inodes: Vec::new(),
            entries: BTreeMap::new(),
            durable_entries: BTreeMap::new(),
            capacity: usize::MAX,
            succeed: 0,
            fail: 0,
            random: fastrand::Rng::with_seed(0),
        }
    }
}

impl Disk {
    /// EIO, if it is time for it.
    fn change(&mut self) -> io::Result<()> {
        if self.succeed > 0 {
            self.succeed -= 1;
            return Ok(());
        }
        let fails = self.fail > 0;
        self.fail = self.fail.saturating_sub(1);
        if fails { Err(rustix::io::Errno::IO.into()) } else { Ok(()) }
    }

    fn used(&self) -> usize {
        self.entries.values().map(|inode| self.inodes[*inode].content.len()).sum()
    }
}

impl MemoryFolder {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }

    /// Of the next changes so many succeed, and then so many fail.
    pub(crate) fn fail_after(&self, succeed: u32, fail: u32) {
        let mut disk = self.disk();
        (disk.succeed, disk.fail) = (succeed, fail);
    }

    pub(crate) fn heal(&self) {
        let mut disk = self.disk();
        disk.fail = 0;
        disk.capacity = usize::MAX;
    }

    /// Leaves room for so many bytes more.
    pub(crate) fn leave_room(&self, bytes: usize) {
        let mut disk = self.disk();
        disk.capacity = disk.used() + bytes;
    }

    /// The machine stops. What was not synced is there, is not, or is in part, as the seed decides.
    pub(crate) fn kill(&self, seed: u64) -> Self {
        let before = self.disk();
        let mut random = fastrand::Rng::with_seed(seed);
        let mut disk = Disk { random: fastrand::Rng::with_seed(seed), ..Disk::default() };
        let names: Vec<&String> = before.entries.keys().chain(before.durable_entries.keys()).collect();
        for name in names {
            let (now, durable) = (before.entries.get(name), before.durable_entries.get(name));
            let survives = if now == durable || random.bool() { now } else { durable };
            if let Some(inode) = survives
                && !disk.entries.contains_key(name)
            {
                let content = before.inodes[*inode].after_kill(&mut random);
                disk.entries.insert(name.clone(), disk.inodes.len());
                disk.inodes.push(Inode { durable: content.clone(), content, is_broken: false });
            }
        }
        disk.durable_entries = disk.entries.clone();
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    /// All files, for those who damage them.
    pub(crate) fn damage(&self, mut change: impl FnMut(&str, &mut Vec<u8>)) {
        let mut disk = self.disk();
        let Disk { inodes, entries, .. } = &mut *disk;
        for (name, inode) in entries {
            change(name, &mut inodes[*inode].content);
        }
    }
}

impl Inode {
    fn after_kill(&self, random: &mut fastrand::Rng) -> Vec<u8> {
        match random.u8(0..4) {
            0 | 1 => self.durable.clone(),
            2 if !self.is_broken => self.content.clone(),
            _ => {
                // The new length, but only some of the new bytes.
                let mut torn = self.durable.clone();
                torn.resize(self.content.len().max(torn.len()), 0);
                let until = random.usize(self.durable.len().min(self.content.len())..=self.content.len());
                let from = self.durable.len().min(until);
                torn[from..until].copy_from_slice(&self.content[from..until]);
                torn
            }
        }
    }
}

impl Folder for MemoryFolder {
    type File = MemoryFile;

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.disk().entries.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<MemoryFile> {
        let mut disk = self.disk();
        disk.change()?;
        let inode = disk.inodes.len();
        disk.inodes.push(Inode::default());
        assert_eq!(disk.entries.insert(name.to_owned(), inode), None);
        Ok(MemoryFile { disk: Arc::clone(&self.disk), inode })
    }

    fn open(&self, name: &str) -> io::Result<MemoryFile> {
        let inode = *self.disk().entries.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(MemoryFile { disk: Arc::clone(&self.disk), inode })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut disk = self.disk();
        disk.change()?;
        disk.entries.remove(name).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk();
        disk.change()?;
        disk.durable_entries = disk.entries.clone();
        Ok(())
    }
}

impl MemoryFile {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }
}

impl File for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk().inodes[self.inode].content.len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let disk = self.disk();
        let offset = usize::try_from(offset).unwrap();
        let from = disk.inodes[self.inode].content.get(offset..offset + buffer.len());
        buffer.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, parts: &[&[u8]], offset: u64) -> io::Result<()> {
        let mut disk = self.disk();
        let whole = parts.concat();
        let offset = usize::try_from(offset).unwrap();
        let room = disk.capacity.saturating_sub(disk.used());
        let new = (offset + whole.len()).saturating_sub(disk.inodes[self.inode].content.len());
        let (written, result) = if let Err(error) = disk.change() {
            (disk.random.usize(0..=whole.len()), Err(error))
        } else if new > room {
            (whole.len() - new + room, Err(rustix::io::Errno::NOSPC.into()))
        } else {
            (whole.len(), Ok(()))
        };
        let content = &mut disk.inodes[self.inode].content;
        content.resize(content.len().max(offset + written), 0);
        content[offset..offset + written].copy_from_slice(&whole[..written]);
        result
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut disk = self.disk();
        disk.change()?;
        disk.inodes[self.inode].content.truncate(usize::try_from(len).unwrap());
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk();
        let result = disk.change();
        let inode = &mut disk.inodes[self.inode];
        inode.is_broken |= result.is_err();
        if !inode.is_broken {
            inode.durable = inode.content.clone();
        }
        result
    }
}
