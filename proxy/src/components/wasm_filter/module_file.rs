//! The file of a module, read whole.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::filters::MAX_COMPONENT;
use crate::whole_file::{self, WholeFileError};

/// Between two reads that must agree: whoever writes the file goes on meanwhile.
const BETWEEN_READS: Duration = Duration::from_millis(10);
/// So often it is read again before it is given up for now.
const MOST_READS: usize = 50;

/// Why a module's file cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("cannot read {}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("cannot read {}: it is no file", .0.display())]
    NoFile(PathBuf),
    #[error("{} is larger than the {}MiB that a module may have", .0.display(), MAX_COMPONENT >> 20)]
    TooLarge(PathBuf),
    #[error("{} is being written: it is read again when it changes", .0.display())]
    Unsteady(PathBuf),
}

/// The content of a file, taken when two reads agree. Blocks for some milliseconds.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut before = read_once(path)?;
    for _ in 0..MOST_READS {
        thread::sleep(BETWEEN_READS);
        let again = read_once(path)?;
        if again == before {
            return Ok(again);
        }
        before = again;
    }
    Err(FileError::Unsteady(path.to_owned()))
}

fn read_once(path: &Path) -> Result<Vec<u8>, FileError> {
    whole_file::read(path, MAX_COMPONENT).map_err(|error| match error {
        WholeFileError::Io(_, error) => FileError::Io { path: path.to_owned(), error },
        WholeFileError::NoFile(_) => FileError::NoFile(path.to_owned()),
        WholeFileError::TooLarge(..) => FileError::TooLarge(path.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_bounded_size_are_modules() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("filter.wasm");
        assert!(read(&path).unwrap_err().to_string().contains("No such file"));
        std::fs::write(&path, b"module").unwrap();
        assert_eq!(read(&path).unwrap(), b"module");
        assert!(matches!(read(folder.path()), Err(FileError::NoFile(_))));
        std::fs::File::options().write(true).open(&path).unwrap().set_len(MAX_COMPONENT + 1).unwrap();
        assert!(matches!(read(&path), Err(FileError::TooLarge(_))));
    }
}
