//! Tables of symbols on a disk: a folder of them, within a limit, which several programs may share.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::native::elf::FileId;
use crate::native::symbols::{Damage, SymbolFile, SymbolTable};

/// Files of the folder that are looked at.
const MAX_FILES: usize = 1 << 20;
/// A table says so often that it is used.
const TOUCH_AGAIN: Duration = Duration::from_secs(3600);
/// What a program left that ended while it wrote a table is not older than this while another one writes.
const ABANDONED: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Store {
    folder: PathBuf,
    limit: u64,
    /// What else is in the names of tables that hold lines, so that one without them is not taken for one.
    suffix: &'static str,
    /// About as much is there, in bytes; other programs add and remove too.
    used: AtomicU64,
    written: AtomicU64,
}

impl Store {
    /// Makes the folder where there is none; nobody else may look into it.
    pub(super) fn open(folder: &Path, limit: u64, lines: bool) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // Of a link to it as well: in a folder that all may write to, anybody could lead this elsewhere.
        let own = rustix::process::geteuid().as_raw();
        if [fs::symlink_metadata(folder)?.uid(), fs::metadata(folder)?.uid()] != [own; 2] {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user"));
        }
        fs::set_permissions(folder, Permissions::from_mode(0o700))?;
        let suffix = if lines { "lines.sym" } else { "names.sym" };
        let store =
            Self { folder: folder.to_owned(), limit, suffix, used: AtomicU64::new(0), written: AtomicU64::new(0) };
        store.make_room(0)?;
        Ok(store)
    }

    pub(super) fn has(&self, id: FileId) -> bool {
        fs::metadata(self.path(id)).is_ok_and(|metadata| metadata.is_file())
    }

    /// None where there is no table. One that is damaged is removed, for it has to be made again.
    pub(super) fn load(&self, id: FileId) -> Option<SymbolFile<File>> {
        let path = self.path(id);
        let file = File::open(&path).ok()?;
        let metadata = file.metadata().ok()?;
        match SymbolFile::open(file, id) {
            Ok(table) => {
                let age = metadata.modified().ok().and_then(|modified| modified.elapsed().ok());
                if age.is_none_or(|age| age > TOUCH_AGAIN) {
                    // Without it the table only seems less used than it is.
                    let _ = table.bytes().set_modified(SystemTime::now());
                }
                Some(table)
            }
            Err(Damage::Io(_)) => None,
            Err(Damage::Foreign | Damage::OtherFile | Damage::Damaged(_)) => {
                self.remove(id);
                None
            }
        }
    }

    pub(super) fn remove(&self, id: FileId) {
        // Where it cannot be removed it is replaced when it is made again.
        let _ = fs::remove_file(self.path(id));
    }

    /// Keeps a table. Whoever reads meanwhile sees all of it or nothing.
    pub(super) fn save(&self, id: FileId, table: &SymbolTable) -> io::Result<()> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let written = self.folder.join(format!("{id}.{}.{number}.new", std::process::id()));
        let saved = write(&written, id, table).and_then(|size| {
            if size > self.limit {
                return Err(io::Error::other("it is larger than all tables may be together"));
            }
            if self.used.load(Ordering::Relaxed).saturating_add(size) > self.limit {
                self.make_room(size)?;
            }
            fs::rename(&written, self.path(id))?;
            self.used.fetch_add(size, Ordering::Relaxed);
            Ok(())
        });
        if saved.is_err() {
            // The error that matters is the one before.
            let _ = fs::remove_file(&written);
        }
        saved
    }

    fn path(&self, id: FileId) -> PathBuf {
        self.folder.join(format!("{id}.{}", self.suffix))
    }

    /// Removes what was not used for the longest time until there is room for so many bytes more. A tenth beyond, so
    /// that not each new table has to look at all.
    fn make_room(&self, size: u64) -> io::Result<()> {
        let mut tables = Vec::new();
        let mut used = 0_u64;
        for entry in fs::read_dir(&self.folder)?.take(MAX_FILES) {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else { continue };
            let Ok(modified) = metadata.modified() else { continue };
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(".new") && modified.elapsed().is_ok_and(|age| age > ABANDONED) {
                let _ = fs::remove_file(entry.path());
            } else if name.ends_with(".sym") {
                used = used.saturating_add(metadata.len());
                tables.push((modified, metadata.len(), entry.path()));
            }
        }
        if used.saturating_add(size) > self.limit {
            let target = (self.limit - self.limit / 10).saturating_sub(size);
            tables.sort();
            for (_, length, path) in tables {
                if used <= target {
                    break;
                }
                // Another program may have removed it.
                let _ = fs::remove_file(path);
                used = used.saturating_sub(length);
            }
        }
        self.used.store(used, Ordering::Relaxed);
        Ok(())
    }
}

fn write(path: &Path, id: FileId, table: &SymbolTable) -> io::Result<u64> {
    let mut writer = BufWriter::with_capacity(1 << 16, File::create_new(path)?);
    table.write(id, &mut writer)?;
    writer.flush()?;
    Ok(writer.get_ref().metadata()?.len())
}
