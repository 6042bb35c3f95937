//! Configuration files: finding, reading and parsing them, and showing what is wrong with them.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use alloy_syntax::{Diagnostics, ast, parse_file};

mod json;
mod render;

pub use json::json;
pub use render::render;

/// The files of one configuration, in the order of their names.
#[derive(Debug)]
pub struct Sources {
    /// One, or all `*.alloy` of a folder.
    pub files: Vec<Source>,
    /// The folder that they stand in.
    pub folder: PathBuf,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path, as diagnostics name it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system's word.
    #[error("cannot read {}: {error}", path.display())]
    Io {
        /// Which path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A folder without configuration.
    #[error("{}: the folder holds no *.alloy file", .0.display())]
    Empty(PathBuf),
    /// Not a configuration.
    #[error("{}: larger than {} bytes", .0.display(), Source::MOST_BYTES)]
    TooLarge(PathBuf),
    /// Not text.
    #[error("{}: not UTF-8: {error}", path.display())]
    NotText {
        /// Which path.
        path: PathBuf,
        /// Where.
        error: std::string::FromUtf8Error,
    },
}

impl Sources {
    /// Reads a file, or all `*.alloy` directly in a folder.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let io = |error| ReadError::Io { path: path.to_owned(), error };
        if !std::fs::metadata(path).map_err(io)?.is_dir() {
            let folder = path.parent().unwrap_or(Path::new("")).to_owned();
            return Ok(Self { files: vec![Source::read(path)?], folder });
        }
        let entries = std::fs::read_dir(path).map_err(io)?.collect::<io::Result<Vec<_>>>().map_err(io)?;
        let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "alloy") && path.is_file());
        paths.sort();
        if paths.is_empty() {
            return Err(ReadError::Empty(path.to_owned()));
        }
        let files = paths.iter().map(|path| Source::read(path)).collect::<Result<_, _>>()?;
        Ok(Self { files, folder: path.to_owned() })
    }

    /// Parses every file; all errors of all files together.
    pub fn parse(&self) -> Result<Vec<ast::File>, Diagnostics> {
        let mut files = Vec::with_capacity(self.files.len());
        let mut errors = Diagnostics::new();
        for source in &self.files {
            match parse_file(&source.name, &source.text) {
                Ok(file) => files.push(file),
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() { Ok(files) } else { Err(errors) }
    }
}

impl Source {
    /// Most bytes of one file.
    pub const MOST_BYTES: u64 = 16 << 20;

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let io = |error| ReadError::Io { path: path.to_owned(), error };
        let mut bytes = Vec::new();
        std::fs::File::open(path).map_err(io)?.take(Self::MOST_BYTES + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > Self::MOST_BYTES {
            return Err(ReadError::TooLarge(path.to_owned()));
        }
        let text = String::from_utf8(bytes).map_err(|error| ReadError::NotText { path: path.to_owned(), error })?;
        Ok(Self { name: path.display().to_string(), text })
    }
}
