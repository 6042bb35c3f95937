//! Names of functions for a person: kept for the next time in the folder where users keep such things.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use profiler_core::symbolizer::{Demangle, SymbolSettings, Symbolizer};
use tempfile::TempDir;

/// Tables of symbols on the disk, in bytes.
const CACHE_BYTES: u64 = 512 << 20;
/// Names in memory, in bytes.
const MEMORY_BYTES: usize = 64 << 20;
/// Tables of large programs take seconds to make.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much is shown of the names of C++ and Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Demangled {
    /// Names as linkers know them
    None,
    /// Neither parameters nor templates
    Simplified,
    /// No parameters
    Templates,
    /// All there is
    Full,
}

pub(super) struct Symbols {
    pub(super) symbolizer: Arc<Symbolizer>,
    /// Where nobody is at home: gone with this.
    _folder: Option<TempDir>,
}

impl Symbols {
    pub(super) fn open(named: Option<PathBuf>, demangled: Demangled, lines: bool) -> Result<Self, String> {
        let (cache, folder) = match named.or_else(folder_of_user) {
            Some(folder) => (folder, None),
            None => {
                let folder =
                    tempfile::tempdir().map_err(|error| format!("no folder for symbols can be made: {error}"))?;
                (folder.path().join("symbols"), Some(folder))
            }
        };
        let demangle = match demangled {
            Demangled::None => Demangle::None,
            Demangled::Simplified => Demangle::Simplified,
            Demangled::Templates => Demangle::Templates,
            Demangled::Full => Demangle::Full,
        };
        let settings = SymbolSettings { cache, cache_bytes: CACHE_BYTES, memory_bytes: MEMORY_BYTES, demangle, lines };
        let symbolizer = Symbolizer::new(settings).map_err(|error| error.to_string())?;
        Ok(Self { symbolizer: Arc::new(symbolizer), _folder: folder })
    }

    /// Until the tables of the files that were met are made, or it takes too long.
    pub(super) fn wait(&self) {
        self.symbolizer.wait(PATIENCE);
    }
}

fn folder_of_user() -> Option<PathBuf> {
    let named = |variable| env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")))?;
    Some(caches.join("flamegate").join("symbols"))
}
