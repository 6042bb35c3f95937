//! Which files are meant.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use memchr::memmem;

/// A path, whose last part may hold stars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Absolute; where there are stars, the folder.
    place: PathBuf,
    /// What stands for names in the folder.
    names: Option<OsString>,
}

/// Why a path stands for no files.
#[derive(Debug, thiserror::Error)]
pub(super) enum PatternError {
    #[error("does not end with .json, .yml or .yaml")]
    Extension,
    #[error("has a * in a folder's name: it may stand in the last part alone")]
    Folder,
    #[error("is no path: {0}")]
    Path(#[from] io::Error),
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        let path = std::path::absolute(text)?;
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(PatternError::Extension);
        };
        // As the reference: in small letters or capitals, but not both.
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        if !matches!(extension, "json" | "yml" | "yaml" | "JSON" | "YML" | "YAML") {
            return Err(PatternError::Extension);
        }
        if folder.as_os_str().as_bytes().contains(&b'*') {
            return Err(PatternError::Folder);
        }
        Ok(match name.as_bytes().contains(&b'*') {
            true => Self { place: folder.to_owned(), names: Some(name.to_owned()) },
            false => Self { place: path, names: None },
        })
    }

    /// What to watch.
    pub(super) fn watched(&self) -> &Path {
        &self.place
    }

    /// The files that there are. What is missing is none.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub(super) fn paths(&self) -> io::Result<Vec<PathBuf>> {
        let Some(names) = &self.names else {
            return Ok(if self.place.try_exists()? { vec![self.place.clone()] } else { Vec::new() });
        };
        let entries = match std::fs::read_dir(&self.place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut paths = Vec::new();
        for entry in entries {
            let entry = entry?;
            if fits(names.as_bytes(), entry.file_name().as_bytes()) {
                paths.push(entry.path());
            }
        }
        Ok(paths)
    }

    /// Whether a file is meant.
    pub(super) fn matches(&self, path: &Path) -> bool {
        match &self.names {
            None => path == self.place,
            Some(names) => {
                let fits = path.file_name().is_some_and(|name| fits(names.as_bytes(), name.as_bytes()));
                path.parent() == Some(&*self.place) && fits
            }
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.names {
            None => write!(f, "{}", self.place.display()),
            Some(names) => write!(f, "{}", self.place.join(names).display()),
        }
    }
}

/// Whether a name is made of what stands between the stars, in this order.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let mut parts = pattern.split(|byte| *byte == b'*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        // The leftmost is as good as any: what follows has the most left then.
        let Some(place) = memmem::find(rest, part) else { return false };
        rest = rest.get(place + part.len()..).unwrap_or_default();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, fit) in [
            ("a.json", "a.json", true),
            ("a.json", "xa.json", false),
            ("a.json", "a.json~", false),
            ("*.json", ".json", true),
            ("*.json", "x.json", true),
            ("*.json", "x.yml", false),
            ("tg_*.json", "tg_1.json", true),
            ("tg_*.json", "tg.json", false),
            ("a*a.json", "a.json", false),
            ("a*b*c.yml", "aXbbYc.yml", true),
            ("a*b*c.yml", "abc.yml", true),
            ("a*b*c.yml", "acb.yml", false),
            ("a**.yml", "a.yml", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), fit, "{pattern} {name}");
        }
    }

    #[test]
    fn only_known_files_and_stars_at_the_end() {
        for text in ["/a/b.json", "b.yaml", "/a/*.YML", "/a/tg_*.yml"] {
            assert!(Pattern::parse(text).is_ok(), "{text}");
        }
        for (text, says) in [
            ("/a/b.txt", ".json, .yml"),
            ("/a/*", ".json"),
            ("/a/b.Json", ".json"),
            ("/*/b.json", "folder's name"),
            ("", "no path"),
        ] {
            let error = Pattern::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
