//! async-profiler's library: where it is, and whether it is what it should be.

use std::borrow::Cow;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use object::{Architecture, Object, ObjectSymbol};
use sha2::{Digest, Sha256};

const NAME: &str = "libasyncProfiler.so";
/// Where users name it.
const VARIABLE: &str = "FLAMEGATE_ASYNC_PROFILER";
/// Where packages put it.
const SYSTEM_FOLDER: &str = "/usr/lib/flamegate";
/// A hundred times its size.
const LARGEST: u64 = 64 << 20;
/// What a JVM calls.
const ENTRY: &str = "Agent_OnAttach";

#[cfg(target_arch = "x86_64")]
const PLATFORM: (&str, Architecture) = ("linux-x64", Architecture::X86_64);
#[cfg(target_arch = "aarch64")]
const PLATFORM: (&str, Architecture) = ("linux-arm64", Architecture::Aarch64);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const PLATFORM: (&str, Architecture) = ("none", Architecture::Unknown);

#[cfg(all(feature = "embedded-async-profiler", target_arch = "x86_64"))]
const EMBEDDED: Option<&[u8]> =
    Some(include_bytes!("../../../.test-tools/async-profiler/linux-x64/libasyncProfiler.so"));
#[cfg(all(feature = "embedded-async-profiler", target_arch = "aarch64"))]
const EMBEDDED: Option<&[u8]> =
    Some(include_bytes!("../../../.test-tools/async-profiler/linux-arm64/libasyncProfiler.so"));
#[cfg(not(all(feature = "embedded-async-profiler", any(target_arch = "x86_64", target_arch = "aarch64"))))]
const EMBEDDED: Option<&[u8]> = None;

/// async-profiler's library, in memory.
#[derive(Debug, Clone)]
pub struct Library {
    bytes: Cow<'static, [u8]>,
    source: String,
    digest: String,
}

/// Why there is no library.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// It is nowhere.
    #[error(
        "async-profiler's {NAME} is in none of {looked}; `cargo xtask fetch-async-profiler --into {SYSTEM_FOLDER}` in \
         Flamegate's checkout puts it there, or name it with `dist` or {VARIABLE}"
    )]
    NotFound {
        /// The places.
        looked: String,
    },
    /// What is there is something else.
    #[error("{}: {problem}; async-profiler's {NAME}, its jar, or a folder with one of them is needed", path.display())]
    NotUsable {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl Library {
    /// Finds it: at `dist`; else where the environment's `FLAMEGATE_ASYNC_PROFILER` says; else in this program, if it
    /// was built so; else in the program's folder, or in `/usr/lib/flamegate`. Each may be the library, the jar that
    /// holds it, or a folder with one of them.
    ///
    /// # Errors
    /// It is nowhere, or what is there is no library of async-profiler for this machine.
    pub fn find(dist: Option<&Path>) -> Result<Self, LibraryError> {
        let named = dist
            .map(Path::to_owned)
            .or_else(|| env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from));
        if let Some(path) = named {
            return Self::open(&path);
        }
        if let Some(bytes) = EMBEDDED {
            return Self::check(Cow::Borrowed(bytes), Path::new("embedded"));
        }
        let own = env::current_exe().ok().and_then(|program| program.parent().map(Path::to_owned));
        let folders: Vec<_> = own.into_iter().chain([PathBuf::from(SYSTEM_FOLDER)]).collect();
        match folders.iter().find_map(|folder| within(folder)) {
            Some(found) => Self::open(&found),
            None => {
                let looked: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
                Err(LibraryError::NotFound { looked: looked.join(", ") })
            }
        }
    }

    /// Reads it from a library, a jar, or a folder with one of them.
    ///
    /// # Errors
    /// It is not there, or no library of async-profiler for this machine.
    pub fn open(path: &Path) -> Result<Self, LibraryError> {
        let refuse = |problem: String| LibraryError::NotUsable { path: path.to_owned(), problem };
        if path.is_dir() {
            let found = within(path).ok_or_else(|| refuse(format!("has neither {NAME} nor async-profiler's jar")))?;
            return Self::open_file(&found);
        }
        Self::open_file(path)
    }

    fn open_file(path: &Path) -> Result<Self, LibraryError> {
        let refuse = |problem: String| LibraryError::NotUsable { path: path.to_owned(), problem };
        let is_jar = path.extension() == Some(OsStr::new("jar"));
        let bytes = if is_jar { unpacked(path) } else { whole(path) }.map_err(|error| refuse(error.to_string()))?;
        Self::check(Cow::Owned(bytes), path)
    }

    fn check(bytes: Cow<'static, [u8]>, path: &Path) -> Result<Self, LibraryError> {
        let refuse = |problem: String| LibraryError::NotUsable { path: path.to_owned(), problem };
        let (_, architecture) = PLATFORM;
        let file = object::File::parse(&*bytes).map_err(|error| refuse(format!("is no ELF file: {error}")))?;
        if file.architecture() != architecture {
            return Err(refuse(format!("is for {:?}, this machine is {architecture:?}", file.architecture())));
        }
        if !file.dynamic_symbols().any(|symbol| symbol.is_definition() && symbol.name() == Ok(ENTRY)) {
            return Err(refuse(format!("is no agent: it has no {ENTRY}")));
        }
        let digest = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { bytes, source: path.display().to_string(), digest })
    }

    /// Where it was found.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Enough of its SHA-256 to tell versions apart.
    pub(super) fn short_digest(&self) -> &str {
        self.digest.get(..12).unwrap_or(&self.digest)
    }
}

/// The library or the jar in a folder, as its archives and its jar are laid out.
fn within(folder: &Path) -> Option<PathBuf> {
    let (platform, _) = PLATFORM;
    let library = [PathBuf::from(NAME), Path::new("lib").join(NAME), Path::new(platform).join(NAME)];
    library.iter().map(|file| folder.join(file)).find(|file| file.is_file()).or_else(|| {
        let jars = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("async-profiler") && name.ends_with(".jar")
        });
        // Of several the latest, as far as names tell.
        jars.max()
    })
}

fn whole(path: &Path) -> io::Result<Vec<u8>> {
    bounded(File::open(path)?)
}

fn unpacked(jar: &Path) -> io::Result<Vec<u8>> {
    let (platform, _) = PLATFORM;
    let mut jar = zip::ZipArchive::new(File::open(jar)?)?;
    bounded(jar.by_name(&format!("{platform}/{NAME}"))?)
}

fn bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("has more than {LARGEST} bytes")));
    }
    Ok(bytes)
}
