//! What a profiler has recorded.

use std::fs::File;
use std::io;

use super::error::ProfilerError;

/// The largest recording that is handed out, in bytes. The file is the target's to write: it may be as long as it likes.
pub const MAX_RECORDING: u64 = 1 << 30;

/// How a recording came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was stopped.
    Stopped,
    /// It had ended before: its time was over, or someone else has stopped it.
    Before,
    /// The target has ended. Its last chunk is whole only if the JVM had the time to end in order.
    WithTarget,
}

/// A recording in JFR's format. Its file has no name any more.
#[derive(Debug)]
pub struct Recording {
    file: File,
    size: u64,
    end: End,
}

impl Recording {
    pub(super) fn of(file: File, end: End) -> Result<Self, ProfilerError> {
        let size = file.metadata().map_err(ProfilerError::system("look at the recording"))?.len();
        if size == 0 {
            return Err(ProfilerError::Recording { problem: "the recording is empty".to_owned() });
        }
        if size > MAX_RECORDING {
            let problem = format!("the recording has {size} bytes, more than {MAX_RECORDING}");
            return Err(ProfilerError::Recording { problem });
        }
        Ok(Self { file, size, end })
    }

    /// The file, at its beginning. Read it, and never map it: the target may still change it, and cut it short.
    ///
    /// # Errors
    /// None that a file on a disk has.
    pub fn into_file(self) -> io::Result<File> {
        use std::io::Seek;
        let mut file = self.file;
        file.rewind()?;
        Ok(file)
    }

    /// How many bytes it had when it ended; no more are to be read.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How it came to its end.
    #[must_use]
    pub fn end(&self) -> End {
        self.end
    }
}
