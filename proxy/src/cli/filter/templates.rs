//! Filters to begin with. The examples in `guest-examples/team-label` are the templates: what is written differs from
//! them in its name, and in where the contract is.

use std::collections::BTreeSet;
use std::fmt;

use clap::ValueEnum;

/// A language that a filter may be begun in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    Rust,
    C,
    Go,
    Python,
    #[value(name = "javascript")]
    JavaScript,
}

/// All of them.
#[cfg(test)]
pub(super) const LANGUAGES: [Language; 5] =
    [Language::Rust, Language::C, Language::Go, Language::Python, Language::JavaScript];

/// A file of a project.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProjectFile {
    /// In the project's folder.
    pub(super) path: String,
    pub(super) text: String,
}

/// What a project is called: lower-case letters, digits and hyphens, a letter first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProjectName(String);

/// As the filter itself shows it, the rest is cut.
const NAME_BYTES: usize = 48;
/// What a crate cannot be called, besides what the lock file has: names of the language and of its library.
const TAKEN: [&str; 16] = [
    "alloc", "core", "crate", "enum", "extern", "fn", "loop", "match", "mod", "self", "std", "super", "test", "trait",
    "type", "use",
];

/// A path in the example's folder, and the text.
type Template = (&'static str, &'static str);

macro_rules! templates {
    ($folder:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../guest-examples/team-label/", $folder, "/", $path)))),*]
    };
}

const RUST: &[Template] = templates!("rust": "Cargo.toml", "Cargo.lock", "Makefile", "README.md", "src/lib.rs");
const C: &[Template] = templates!("c": "Makefile", "README.md", "filter.c");
const GO: &[Template] = templates!(
    "go": ".gitignore",
    "Makefile",
    "README.md",
    "export_flamegate_filter_filter_labels/apply.go",
    "export_flamegate_filter_lifecycle/lifecycle.go",
    "go.mod",
    "go.sum",
    "no_wasi.wat",
    "teamlabel/rules.go",
);
const PYTHON: &[Template] = templates!("python": "Makefile", "README.md", "app.py", "requirements.txt");
const JAVASCRIPT: &[Template] =
    templates!("javascript": "Makefile", "README.md", "filter.js", "package-lock.json", "package.json");

const WIT: [Template; 3] = [
    ("wit/filter.wit", include_str!("../../../../wit/filter.wit")),
    ("wit/packed.wit", include_str!("../../../../wit/packed.wit")),
    ("wit/profile.wit", include_str!("../../../../wit/profile.wit")),
];
const CASES: Template = ("cases.json", include_str!("../../../../guest-examples/team-label/cases.json"));
/// What all the examples do; it goes on with where they are.
const JOB: &str = include_str!("../../../../guest-examples/team-label/README.md");
const JOB_ENDS: &str = "\nThe folders hold";
/// The last line of an example's own README.
const JOB_ELSEWHERE: &str = "\nWhat it does: [../README.md](../README.md).\n";

impl Language {
    /// The files of a project of this name, by path.
    pub(super) fn files(self, name: &ProjectName) -> Vec<ProjectFile> {
        let (templates, ignored) = match self {
            Self::Rust => (RUST, ""),
            Self::C => (C, ""),
            Self::Go => (GO, ""),
            Self::Python => (PYTHON, "__pycache__/\n"),
            Self::JavaScript => (JAVASCRIPT, "/node_modules/\n"),
        };
        let mut ignore = format!("/build/\n{ignored}");
        let mut files = vec![file(CASES)];
        files.extend(WIT.map(file));
        for &(path, text) in templates {
            let text = match path {
                ".gitignore" => {
                    ignore += text;
                    continue;
                }
                "README.md" => readme(name, text),
                "Cargo.lock" => in_order(&own(name, text)),
                _ => own(name, text),
            };
            files.push(ProjectFile { path: path.to_owned(), text });
        }
        files.push(ProjectFile { path: ".gitignore".to_owned(), text: ignore });
        files.sort_by(|one, other| one.path.cmp(&other.path));
        files
    }
}

fn file((path, text): Template) -> ProjectFile {
    ProjectFile { path: path.to_owned(), text: text.to_owned() }
}

/// Called by the project's name, and with the contract in its own folder.
fn own(name: &ProjectName, text: &str) -> String {
    text.replace("team-label", &name.0).replace("team_label", &name.module()).replace("../../../wit", "wit")
}

fn readme(name: &ProjectName, of_the_language: &str) -> String {
    let (_, language) = of_the_language.split_once('\n').unwrap_or_default();
    let language = language.strip_suffix(JOB_ELSEWHERE).unwrap_or(language);
    let (_, job) = JOB.split_once('\n').unwrap_or_default();
    let job = job.split_once(JOB_ENDS).map_or(job, |(job, _)| job);
    let (language, module) = (own(name, language), name.module());
    format!(
        "# {name}\n\
         \n\
         A filter of profiles for Flamegate, of the world `labels-filter` in [wit/](wit/filter.wit). So far it is an example.\n\
         \n\
         ## Building\n\
         {language}\n\
         `flamegate filter build` runs `make` as well, and says what is missing and what has come of it. The component is\n\
         `build/{name}.wasm`.\n\
         \n\
         ## Trying\n\
         \n\
         {INDENT}flamegate filter test\n\
         {INDENT}flamegate filter run build/{name}.wasm --config 'team checkout- payments' --labels service_name=checkout-api\n\
         \n\
         `cases.json` says what becomes of which series, or in which words which configuration is refused.\n\
         \n\
         ## What it does\n\
         {job}\n\
         In Flamegate's configuration:\n\
         \n\
         {INDENT}wasm.filter \"{module}\" {{\n\
         {INDENT}    module     = \"{name}.wasm\"\n\
         {INDENT}    config     = \"team checkout- payments\"\n\
         {INDENT}    forward_to = [pyroscope.write.default.receiver]\n\
         {INDENT}}}\n"
    )
}

/// Code in Markdown; a line of the literal above cannot begin with blanks.
const INDENT: &str = "    ";

/// Cargo takes a lock file as it would write it, sorted by names, or not at all.
fn in_order(lock: &str) -> String {
    let mut parts = lock.split("[[package]]\n");
    let head = parts.next().unwrap_or_default();
    let packages: BTreeSet<String> = parts.map(|package| package.trim_end().to_owned()).collect();
    let packages: Vec<String> = packages.iter().map(|package| format!("[[package]]\n{package}\n")).collect();
    format!("{head}{}", packages.join("\n"))
}

impl ProjectName {
    /// The nearest name to that of a folder.
    pub(super) fn of(folder: &str) -> Self {
        let kept = |c: char| c.is_ascii_alphanumeric();
        let words: Vec<String> =
            folder.split(|c| !kept(c)).filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect();
        let mut name = words.join("-");
        name.truncate(NAME_BYTES);
        let name = name.trim_end_matches('-');
        let is_locked = RUST.iter().any(|(_, text)| text.contains(&format!("name = \"{name}\"\nversion")));
        let is_taken = TAKEN.contains(&name) || is_locked && name != "team-label";
        Self(match name {
            "" => "filter".to_owned(),
            name if is_taken => format!("{name}-filter"),
            name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("filter-{name}"),
            name => name.to_owned(),
        })
    }
}

impl ProjectName {
    /// As an identifier, in Rust and in Flamegate's configuration.
    fn module(&self) -> String {
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

    #[test]
    fn a_project_stands_alone() {
        let name = ProjectName::of("zone");
        for language in LANGUAGES {
            let files = language.files(&name);
            for ProjectFile { path, text } in &files {
                assert!(!text.contains("../"), "{language:?}: {path} leaves its folder:\n{text}");
                assert!(!text.contains("team-label") && !text.contains("team_label"), "{language:?}: {path}:\n{text}");
            }
            let text = |path: &str| &files.iter().find(|file| file.path == path).unwrap().text;
            for part in ["# zone\n", "make\n", "team search", "flamegate filter test"] {
                assert!(
                    text("README.md").contains(part),
                    "{language:?}: {part:?} is missing in\n{}",
                    text("README.md")
                );
            }
            assert!(text("Makefile").contains("build/zone.wasm"), "{language:?}");
            assert!(text(".gitignore").starts_with("/build/\n"), "{language:?}");
        }
    }

    /// A folder that gains a file has it in the template as well.
    #[test]
    fn nothing_of_the_examples_is_left_out() {
        for (language, folder) in LANGUAGES.into_iter().zip(["rust", "c", "go", "python", "javascript"]) {
            let root =
                std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-examples/team-label").join(folder);
            let listed = std::process::Command::new("git")
                .args(["ls-files", "--cached", "--others", "--exclude-standard"])
                .current_dir(&root)
                .output()
                .unwrap();
            let mut expected: BTreeSet<String> =
                String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect();
            assert!(!expected.is_empty());
            expected.extend([".gitignore", "cases.json"].map(str::to_owned));
            expected.extend(WIT.map(|(path, _)| path.to_owned()));
            let found: BTreeSet<String> =
                language.files(&ProjectName::of("x")).into_iter().map(|file| file.path).collect();
            assert_eq!(found, expected, "{language:?}");
        }
    }

    #[test]
    fn the_lock_file_is_as_cargo_writes_it() {
        let lock = RUST.iter().find(|(path, _)| *path == "Cargo.lock").unwrap().1;
        assert_eq!(in_order(lock), lock);
        let other = in_order(&own(&ProjectName::of("zone"), lock));
        let names: Vec<&str> = other.lines().filter_map(|line| line.strip_prefix("name = ")).collect();
        assert!(names.is_sorted() && names.contains(&"\"zone\""), "{names:?}");
        assert_ne!(names.last(), None);
    }
}
