//! The files that processes execute: each of them known once, however many processes map it.

use std::collections::{HashMap, HashSet};
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::kernel::{FileRef, Table};
use crate::native::elf::{BuildId, ElfFile, FileId, Segment};
use crate::runtime::FileData;

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// As the first process saw it that ran it.
    pub path: String,
    /// What tells it from all others. None of a file that could not be read: addresses are then offsets in it.
    pub id: Option<FileId>,
    /// What its linker called it.
    pub build_id: Option<BuildId>,
    /// Its executable parts.
    pub segments: Box<[Segment]>,
}

impl FileInfo {
    /// What the kernel calls its own library, which no file holds.
    pub const VDSO: &str = "[vdso]";
}

/// What callers may ask for.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<FileRef, Arc<FileInfo>>);

impl Names {
    pub(super) fn get(&self, file: FileRef) -> Option<Arc<FileInfo>> {
        self.0.get(&file).cloned()
    }

    pub(super) fn insert(&mut self, file: FileRef, info: FileInfo) {
        self.0.insert(file, Arc::new(info));
    }

    pub(super) fn remove(&mut self, file: FileRef) {
        self.0.remove(&file);
    }
}

/// What tells a file on a disk from others, without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// How far a file's unwind table is.
#[derive(Debug, Clone, Copy)]
pub(super) enum TableState {
    /// Not asked for: too many wait.
    Wanted,
    /// Being made.
    Pending,
    /// There is none.
    Without,
    /// There was no room for it; asked for again when there is.
    NoRoom,
    /// In the kernel.
    Ready(Table),
}

/// What tells files apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Identity {
    Content(FileId),
    /// Of one that cannot be opened, what the process' maps say.
    Unread {
        device: (u32, u32),
        inode: u64,
    },
}

#[derive(Debug)]
pub(super) struct KnownFile {
    pub(super) table: TableState,
    /// Of a runtime's file, when its table was made.
    pub(super) runtime: Option<Arc<FileData>>,
    /// The addresses of the places at which mappings begin.
    addresses: HashMap<u64, Option<u64>>,
    stamps: Vec<Stamp>,
    identity: Identity,
    /// Stretches of memory of all processes that hold parts of it.
    users: u32,
    /// When the last of them went.
    unused_since: Option<Instant>,
}

/// A file that maps its parts at more places than this is no compiler's.
const MAX_PLACES: usize = 64;
/// So many copies of a file are known without being read again.
const MAX_STAMPS: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Files {
    known: HashMap<FileRef, KnownFile>,
    by_identity: HashMap<Identity, FileRef>,
    /// None: no ELF file.
    by_stamp: HashMap<Stamp, Option<FileRef>>,
    last: u32,
}

/// What a look at a file brought.
pub(super) enum Found {
    /// No machine code in a format that is known: most likely written by a program for itself.
    NoElf,
    /// Known before.
    Known(FileRef),
    /// Seen for the first time.
    New(FileRef),
}

/// Files that are known at once; what comes beyond is shown as addresses in memory.
const MAX_FILES: usize = 65_536;

/// Stamps of files that are no ELF files: forgotten all at once when there are so many.
const MAX_STRANGERS: usize = 65_536;

impl Files {
    /// Finds out which file this is; reads it where that is needed. A file that is not known comes back opened.
    pub(super) fn identify(&mut self, file: File) -> (Found, Option<ElfFile>) {
        let Ok(metadata) = file.metadata() else { return (Found::NoElf, None) };
        let stamp = Stamp::of(&metadata);
        match self.by_stamp.get(&stamp) {
            Some(Some(file)) => return (Found::Known(*file), None),
            Some(None) => return (Found::NoElf, None),
            None => {}
        }
        if self.by_stamp.len() >= MAX_STRANGERS {
            self.by_stamp.retain(|_, file| file.is_some());
        }
        let Ok(elf) = ElfFile::open(file) else {
            self.by_stamp.insert(stamp, None);
            return (Found::NoElf, None);
        };
        let (found, elf) = self.identify_elf(elf);
        if let Found::Known(file) | Found::New(file) = found
            && let Some(known) = self.known.get_mut(&file)
            && known.stamps.len() < MAX_STAMPS
        {
            known.stamps.push(stamp.clone());
            self.by_stamp.insert(stamp, Some(file));
        }
        (found, elf)
    }

    /// The same of what is open already.
    pub(super) fn identify_elf(&mut self, elf: ElfFile) -> (Found, Option<ElfFile>) {
        let found = self.know(Identity::Content(elf.id()), TableState::Wanted);
        (found, Some(elf))
    }

    /// A file that cannot be opened.
    pub(super) fn identify_unread(&mut self, device: (u32, u32), inode: u64) -> Found {
        self.know(Identity::Unread { device, inode }, TableState::Without)
    }

    fn know(&mut self, identity: Identity, table: TableState) -> Found {
        if let Some(file) = self.by_identity.get(&identity) {
            return Found::Known(*file);
        }
        if self.known.len() >= MAX_FILES {
            return Found::NoElf;
        }
        self.last = self.last.wrapping_add(1);
        let file = FileRef(self.last);
        self.by_identity.insert(identity, file);
        let known = KnownFile {
            table,
            runtime: None,
            addresses: HashMap::new(),
            stamps: Vec::new(),
            identity,
            users: 0,
            unused_since: Some(Instant::now()),
        };
        self.known.insert(file, known);
        Found::New(file)
    }

    pub(super) fn with_content(&self, id: FileId) -> Option<FileRef> {
        self.by_identity.get(&Identity::Content(id)).copied()
    }

    pub(super) fn get(&self, file: FileRef) -> Option<&KnownFile> {
        self.known.get(&file)
    }

    pub(super) fn get_mut(&mut self, file: FileRef) -> Option<&mut KnownFile> {
        self.known.get_mut(&file)
    }

    /// Takes out what no process has mapped for so long.
    pub(super) fn forget_unused(&mut self, since: Duration) -> Vec<(FileRef, TableState)> {
        let now = Instant::now();
        let mut unused = Vec::new();
        let (by_identity, by_stamp) = (&mut self.by_identity, &mut self.by_stamp);
        self.known.retain(|file, known| {
            let idle = known.unused_since.is_some_and(|unused| now.duration_since(unused) >= since);
            // What is being made comes back to a file that is there.
            if !idle || matches!(known.table, TableState::Pending) {
                return true;
            }
            unused.push((*file, known.table));
            by_identity.remove(&known.identity);
            for stamp in &known.stamps {
                by_stamp.remove(stamp);
            }
            false
        });
        if unused.iter().any(|(_, table)| matches!(table, TableState::Ready(_))) {
            self.known.values_mut().for_each(KnownFile::want_again);
        }
        unused
    }

    /// Files whose tables nobody makes although they are wanted.
    pub(super) fn wanted(&self) -> HashSet<FileRef> {
        let is_wanted = |known: &KnownFile| matches!(known.table, TableState::Wanted);
        self.known.iter().filter(|(_, known)| is_wanted(known)).map(|(file, _)| *file).collect()
    }

    /// Rows of all tables in the kernel.
    pub(super) fn rows(&self) -> u64 {
        self.tables()
            .map(|table| if let TableState::Ready(table) = table { u64::from(table.slot.rows()) } else { 0 })
            .sum()
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = &TableState> {
        self.known.values().map(|known| &known.table)
    }
}

impl KnownFile {
    fn want_again(&mut self) {
        if let TableState::NoRoom = self.table {
            self.table = TableState::Wanted;
        }
    }

    /// One more stretch of memory, or one less.
    pub(super) fn used(&mut self, by: i32) {
        self.users = self.users.saturating_add_signed(by);
        self.unused_since = (self.users == 0).then(Instant::now);
    }

    /// Its content's. None of one that cannot be opened.
    pub(super) fn id(&self) -> Option<FileId> {
        match self.identity {
            Identity::Content(id) => Some(id),
            Identity::Unread { .. } => None,
        }
    }

    /// The address of the byte at `offset`, without opening the file where it was asked before. The outer none: not
    /// known yet; the inner: there is none.
    pub(super) fn address_of(&mut self, offset: u64, elf: Option<&ElfFile>) -> Option<Option<u64>> {
        if let Some(address) = self.addresses.get(&offset) {
            return Some(*address);
        }
        let address = elf?.address_of_offset(offset);
        if self.addresses.len() >= MAX_PLACES {
            self.addresses.clear();
        }
        self.addresses.insert(offset, address);
        Some(address)
    }
}
