//! Unwind tables are made on a thread of their own: the largest files take seconds. Then it hands the files on to who
//! makes tables of their symbols.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use crate::kernel::{FileRef, Runtimes};
use crate::native::elf::ElfFile;
use crate::native::unwind::UnwindTable;
use crate::runtime::{FileData, Unsupported};
use crate::symbolizer::{Origin, Symbolizer};

/// Files that wait; each holds a descriptor, and another one where names are wanted.
const MAX_WAITING: usize = 128;
/// Tables that wait for the kernel; each holds its memory.
const MAX_MADE: usize = 2;

/// The thread ends with this.
#[derive(Debug)]
pub(super) struct TableMaker {
    wanted: SyncSender<(FileRef, ElfFile, Origin)>,
    made: Receiver<Made>,
    waiting: usize,
}

/// What is known of a file now.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) file: FileRef,
    /// None where the file says nothing.
    pub(super) table: Option<UnwindTable>,
    /// Of a runtime's file.
    pub(super) runtime: Result<Option<Arc<FileData>>, Unsupported>,
}

impl TableMaker {
    pub(super) fn start(symbolizer: Option<Arc<Symbolizer>>, runtimes: Runtimes) -> io::Result<Self> {
        let (wanted, to_make) = sync_channel::<(FileRef, ElfFile, Origin)>(MAX_WAITING);
        let (finished, made) = sync_channel(MAX_MADE);
        std::thread::Builder::new().name("unwind-tables".to_owned()).spawn(move || {
            for (file, elf, origin) in to_make {
                // A file that is damaged, or says nothing: its frames are found by frame pointers.
                let table = UnwindTable::build(&elf).ok().filter(|table| !table.rows.is_empty());
                let runtime = FileData::recognise(runtimes, &elf, &origin.path);
                if finished.send(Made { file, table, runtime }).is_err() {
                    break;
                }
                if let Some(symbolizer) = &symbolizer {
                    // Where too many wait it comes again when its names are asked for.
                    symbolizer.offer(elf, origin);
                }
            }
        })?;
        Ok(Self { wanted, made, waiting: 0 })
    }

    /// False: too many wait; ask again later.
    pub(super) fn ask(&mut self, file: FileRef, elf: ElfFile, origin: impl FnOnce() -> Origin) -> bool {
        match self.wanted.try_send((file, elf, origin())) {
            Ok(()) => {
                self.waiting += 1;
                true
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// One that is finished.
    pub(super) fn next(&mut self) -> Option<Made> {
        let made = self.made.try_recv().ok()?;
        self.waiting = self.waiting.saturating_sub(1);
        Some(made)
    }

    pub(super) fn is_waited_for(&self) -> bool {
        self.waiting > 0
    }
}
