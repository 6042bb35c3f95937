//! Where the programs are, and what is in their lines.

use std::path::{Path, PathBuf};

/// A file beside the tests.
pub(crate) fn path(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(of)
}

/// What the test command has installed.
pub(crate) fn tool(of: &str) -> PathBuf {
    path("../../.test-tools").join(of)
}

/// The program of the system, and those that a variable names.
pub(crate) fn versions(of_the_system: &str, variable: &str) -> Vec<PathBuf> {
    let named = std::env::var_os(variable).unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|path| path.is_absolute());
    std::iter::once(of_the_system.into()).chain(named).collect()
}

/// The lines of a program.
pub(crate) struct Source(Vec<String>);

impl Source {
    pub(crate) fn of(program: &str) -> Self {
        Self(std::fs::read_to_string(path(program)).unwrap().lines().map(str::to_owned).collect())
    }

    /// Empty where there is no such line; the first is 1.
    pub(crate) fn line(&self, number: u32) -> &str {
        self.0.get((number as usize).wrapping_sub(1)).map_or("", String::as_str)
    }

    /// Whether one of the texts is in a line.
    pub(crate) fn has(&self, number: u32, texts: &[&str]) -> bool {
        texts.iter().any(|text| self.line(number).contains(text))
    }
}
