//! The files behind a process' memory, opened as the process sees them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Mode, OFlags, open};

use super::{MappedMemory, Root, Source, executable_memory};

/// Why the file behind some memory cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none.
    #[error("there is no file behind this memory")]
    NoFile,
    /// Another file has its name by now.
    #[error("{path} is another file by now")]
    Replaced {
        /// As the process sees it.
        path: String,
    },
    /// The system says no.
    #[error("{path}: {error}")]
    System {
        /// As the process sees it.
        path: String,
        /// Why not.
        #[source]
        error: io::Error,
    },
}

/// Opens the file behind a process' memory, in whatever root and mount namespace the process lives; where this process
/// may, even if it was deleted.
///
/// # Errors
/// It is gone, or no regular file, or another one than was mapped.
pub fn open_mapped(pid: u32, memory: &MappedMemory) -> Result<File, OpenError> {
    let Source::File { inode, path, .. } = &memory.source else { return Err(OpenError::NoFile) };
    // The very file; the kernel lets only few follow this link (CAP_CHECKPOINT_RESTORE).
    let link = format!("/proc/{pid}/map_files/{:x}-{:x}", memory.start, memory.end);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    if let Ok(file) = open(&link, flags, Mode::empty()) {
        let file = File::from(file);
        if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return Ok(file);
        }
    }
    let failed = |error: io::Error| OpenError::System { path: path.clone(), error };
    let file = Root::of(pid).and_then(|root| root.open(path)).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    // Not the device: overlay and btrfs show another one in maps than in stat(2).
    if !metadata.is_file() || metadata.ino() != *inode {
        return Err(OpenError::Replaced { path: path.clone() });
    }
    Ok(file)
}

/// The bytes of the kernel's own library in a process. They are read in this one: all processes have the same, and not
/// all may be read.
///
/// # Errors
/// This is no vDSO, or one of another kind than this process has (32 bits).
pub fn read_vdso(memory: &MappedMemory) -> Result<Vec<u8>, OpenError> {
    /// Two or three pages, of which the largest has 64 KiB.
    const LARGEST: u64 = 1 << 18;
    let failed = |error: io::Error| OpenError::System { path: "[vdso]".to_owned(), error };
    let of_this = executable_memory(std::process::id()).map_err(failed)?;
    let own = of_this.iter().find(|own| own.source == Source::Vdso).ok_or(OpenError::NoFile)?;
    let size = own.end.saturating_sub(own.start);
    if memory.source != Source::Vdso || size > LARGEST || size != memory.end.saturating_sub(memory.start) {
        return Err(OpenError::NoFile);
    }
    let mut bytes = vec![0; usize::try_from(size).map_err(|_| OpenError::NoFile)?];
    File::open("/proc/self/mem").and_then(|memory| memory.read_exact_at(&mut bytes, own.start)).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn ones_own_files_are_elf_files_and_so_is_the_vdso() {
        let pid = std::process::id();
        let memory = executable_memory(pid).unwrap();
        assert!(memory.iter().any(|memory| memory.source == Source::Vdso));
        for memory in memory {
            let mut magic = [0; 4];
            match memory.source {
                Source::Anonymous => continue,
                Source::Vdso => magic.copy_from_slice(&read_vdso(&memory).unwrap()[..4]),
                Source::File { .. } => open_mapped(pid, &memory).unwrap().read_exact(&mut magic).unwrap(),
            }
            assert_eq!(&magic, b"\x7fELF", "{memory:?}");
        }
    }

    #[test]
    fn a_file_that_took_the_place_is_refused() {
        let pid = std::process::id();
        let source = Source::File { offset: 0, device: (0, 0), inode: 1, path: "/proc/self/maps".to_owned() };
        let memory = MappedMemory { start: 1, end: 2, source };
        assert!(matches!(open_mapped(pid, &memory), Err(OpenError::Replaced { .. })));
    }
}
