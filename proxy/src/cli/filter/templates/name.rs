//! What projects are called.

use std::fmt;

/// Of the projects in Rust.
const LOCK: &str = include_str!("../../../../../guest-examples/team-label/rust/Cargo.lock");

/// What a project is called: lower-case letters, digits and hyphens, a letter first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct ProjectName(String);

/// As the filter itself shows it, the rest is cut.
const NAME_BYTES: usize = 48;
/// What a crate cannot be called, besides what the lock file has: names of the language and of its library.
const TAKEN: [&str; 16] = [
    "alloc", "core", "crate", "enum", "extern", "fn", "loop", "match", "mod", "self", "std", "super", "test", "trait",
    "type", "use",
];

impl ProjectName {
    /// The nearest name to that of a folder.
    pub(in super::super) fn of(folder: &str) -> Self {
        let kept = |c: char| c.is_ascii_alphanumeric();
        let words: Vec<String> =
            folder.split(|c| !kept(c)).filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect();
        let mut name = words.join("-");
        name.truncate(NAME_BYTES);
        let name = name.trim_end_matches('-');
        let is_locked = LOCK.contains(&format!("name = \"{name}\"\nversion"));
        let is_taken = TAKEN.contains(&name) || is_locked && name != "team-label";
        Self(match name {
            "" => "filter".to_owned(),
            name if is_taken => format!("{name}-filter"),
            name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("filter-{name}"),
            name => name.to_owned(),
        })
    }

    /// As an identifier, in Rust and in Flamegate's configuration.
    pub(super) fn module(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_in_every_language() {
        for (folder, name) in [
            ("my-filter", "my-filter"),
            ("My Filter_2", "my-filter-2"),
            ("..größe..", "gr-e"),
            ("", "filter"),
            ("日本", "filter"),
            ("42", "filter-42"),
            ("core", "core-filter"),
            ("wit-bindgen", "wit-bindgen-filter"),
            ("team-label", "team-label"),
            (&"x".repeat(100), &"x".repeat(NAME_BYTES)),
        ] {
            assert_eq!(ProjectName::of(folder).0, name, "{folder:?}");
        }
    }
}
