//! async-profiler in running JVMs: finding its library, attaching to a JVM, recording.
//!
//! A [`Jvm`] is opened by its pid, a [`Profiler`] is placed in it, and records until it is stopped; what it leaves in
//! the target's files is removed with it, or by [`clean_leftovers`] after a crash. All of it blocks, each step under a
//! deadline: call it from a thread that may wait.
//!
//! No namespace is entered. Files of a target are reached below its root folder, with its own user and group and
//! without any capability, so that nothing is read, written or removed there that the target itself could not.

mod attach;
mod error;
mod jvm;
mod leftovers;
mod library;
mod placement;
mod profiler;
mod recording;
mod rights;

pub use error::{Fault, ProfilerError};
pub use jvm::{Jvm, NotAttachable};
pub use leftovers::clean_leftovers;
pub use library::{Library, LibraryError};
pub use placement::{TmpDir, TmpDirError};
pub use profiler::Profiler;
pub use recording::{End, MAX_RECORDING, Recording};
