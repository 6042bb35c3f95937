//! Filters to begin with. The examples in `guest-examples/team-label` and `guest-examples/redact` are the templates: what
//! is written differs from them in its name, and in where the contract is.

use std::collections::BTreeSet;

use clap::ValueEnum;

mod name;

pub(super) use name::ProjectName;

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

/// What a filter is to look into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Subject {
    /// The labels of series: they are judged once, and the verdict is kept
    Labels,
    /// Each profile: samples, functions and labels of samples
    Profile,
}

/// All of them.
#[cfg(test)]
pub(super) const LANGUAGES: [Language; 5] =
    [Language::Rust, Language::C, Language::Go, Language::Python, Language::JavaScript];

/// A file of a project.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProjectFile {
    /// In the project's folder.
    pub(super) path: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// A path in the example's folder, and the text.
type Template = (&'static str, &'static str);

macro_rules! templates {
    ($folder:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../guest-examples/", $folder, "/", $path)))),*]
    };
}

const RUST: &[Template] =
    templates!("team-label/rust": "Cargo.toml", "Cargo.lock", "Makefile", "README.md", "src/lib.rs");
const C: &[Template] = templates!("team-label/c": "Makefile", "README.md", "filter.c");
const GO: &[Template] = templates!(
    "team-label/go": ".gitignore",
    "Makefile",
    "README.md",
    "export_flamegate_filter_filter_labels/apply.go",
    "export_flamegate_filter_lifecycle/lifecycle.go",
    "go.mod",
    "go.sum",
    "no_wasi.wat",
    "teamlabel/rules.go",
);
const PYTHON: &[Template] = templates!("team-label/python": "Makefile", "README.md", "app.py", "requirements.txt");
const JAVASCRIPT: &[Template] =
    templates!("team-label/javascript": "Makefile", "README.md", "filter.js", "package-lock.json", "package.json");

const REDACT_RUST: &[Template] = templates!("redact": "src/component.rs", "src/lib.rs");
const REDACT_PYTHON: &[Template] = templates!("redact": "app.py");

const WIT: [Template; 3] = [
    ("wit/filter.wit", include_str!("../../../../wit/filter.wit")),
    ("wit/packed.wit", include_str!("../../../../wit/packed.wit")),
    ("wit/profile.wit", include_str!("../../../../wit/profile.wit")),
];

/// What a filter of a subject does, in all languages.
struct Example {
    world: &'static str,
    /// Where in the project its world is.
    contract: &'static str,
    /// Its README; what it does goes on with where the examples are.
    readme: &'static str,
    /// A line of its configuration.
    config: &'static str,
    /// What it is tried with.
    handed: &'static str,
    cases: &'static str,
    /// What its cases say.
    tried: &'static str,
    /// Files of its cases.
    profiles: &'static [(&'static str, &'static [u8])],
}

const TEAM_LABEL: Example = Example {
    world: "labels-filter",
    contract: "wit/filter.wit",
    readme: include_str!("../../../../guest-examples/team-label/README.md"),
    config: "team checkout- payments",
    handed: "--labels service_name=checkout-api",
    cases: include_str!("../../../../guest-examples/team-label/cases.json"),
    tried: "`cases.json` says what becomes of which series, or in which words which configuration is refused.",
    profiles: &[],
};
const REDACT: Example = Example {
    world: "profile-filter",
    contract: "wit/profile.wit",
    readme: include_str!("../../../../guest-examples/redact/README.md"),
    config: "secret.",
    handed: "--profile shop.pb.gz",
    cases: include_str!("../../../../guest-examples/redact/cases.json"),
    tried: "`cases.json` says what becomes of which profile, or in which words which configuration is refused. A profile is \
            a\nfile beside it, and so is what is to come of it, which `flamegate filter run … --out FILE` writes: look at it first,\n\
            for example with `go tool pprof -raw FILE`.",
    profiles: &[
        ("shop-redacted.pb.gz", include_bytes!("../../../../guest-examples/redact/shop-redacted.pb.gz")),
        ("shop.pb.gz", include_bytes!("../../../../guest-examples/redact/shop.pb.gz")),
    ],
};

const JOB_ENDS: &str = "\nThe folder";
/// The last line of an example's own README.
const JOB_ELSEWHERE: &str = "\nWhat it does: [../README.md](../README.md).\n";

impl Language {
    /// The files of a project of this name, by path; `None` where there is no example in this language.
    pub(super) fn files(self, subject: Subject, name: &ProjectName) -> Option<Vec<ProjectFile>> {
        let (templates, ignored) = self.templates();
        let (example, sources) = match subject {
            Subject::Labels => (&TEAM_LABEL, [].as_slice()),
            Subject::Profile => (&REDACT, self.redact()?),
        };
        let mut ignore = format!("/build/\n{ignored}");
        let mut files = vec![file("cases.json", example.cases)];
        files.extend(example.profiles.iter().map(|&(path, bytes)| file(path, bytes)));
        files.extend(WIT.map(|(path, text)| file(path, text)));
        files.extend(sources.iter().map(|&(path, text)| file(path, own(name, example, text))));
        for &(path, text) in templates.iter().filter(|(path, _)| sources.iter().all(|(other, _)| other != path)) {
            files.push(match path {
                ".gitignore" => {
                    ignore += text;
                    continue;
                }
                "README.md" => file(path, readme(name, example, text)),
                "Cargo.lock" => file(path, in_order(&own(name, example, text))),
                _ => file(path, own(name, example, text)),
            });
        }
        files.push(file(".gitignore", ignore));
        files.sort_by_key(|file| file.path);
        Some(files)
    }

    /// A filter of labels, and what of its folder does not belong into a repository.
    fn templates(self) -> (&'static [Template], &'static str) {
        match self {
            Self::Rust => (RUST, ""),
            Self::C => (C, ""),
            Self::Go => (GO, ""),
            Self::Python => (PYTHON, "__pycache__/\n"),
            Self::JavaScript => (JAVASCRIPT, "/node_modules/\n"),
        }
    }

    /// The sources of a filter of profiles; all else is as with one of labels.
    fn redact(self) -> Option<&'static [Template]> {
        match self {
            Self::Rust => Some(REDACT_RUST),
            Self::Python => Some(REDACT_PYTHON),
            // componentize-qjs does not give back what a filter was lent: each call would trap.
            Self::JavaScript => None,
            Self::C | Self::Go => None,
        }
    }
}

fn file(path: &'static str, bytes: impl Into<Vec<u8>>) -> ProjectFile {
    ProjectFile { path, bytes: bytes.into() }
}

/// Called by the project's name, of its world, and with the contract in its own folder.
fn own(name: &ProjectName, example: &Example, text: &str) -> String {
    let renamed = [
        ("team-label".to_owned(), name.to_string()),
        ("team_label".to_owned(), name.module()),
        ("\"redact\"".to_owned(), format!("\"{name}\"")),
        (TEAM_LABEL.world.to_owned(), example.world.to_owned()),
        ("../../../wit".to_owned(), "wit".to_owned()),
        ("../../wit".to_owned(), "wit".to_owned()),
    ];
    renamed.iter().fold(text.to_owned(), |text, (old, new)| text.replace(old, new))
}

fn readme(name: &ProjectName, example: &Example, of_the_language: &str) -> String {
    let (_, language) = of_the_language.split_once('\n').unwrap_or_default();
    let language = language.strip_suffix(JOB_ELSEWHERE).unwrap_or(language);
    let (_, job) = example.readme.split_once('\n').unwrap_or_default();
    let job = job.split_once(JOB_ENDS).map_or(job, |(job, _)| job);
    let (language, module) = (own(name, example, language), name.module());
    let Example { world, contract, config, handed, tried, .. } = example;
    format!(
        "# {name}\n\
         \n\
         A filter of profiles for Flamegate, of the world `{world}` in [wit/]({contract}). So far it is an example.\n\
         \n\
         ## Building\n\
         {language}\n\
         `flamegate filter build` runs `make` as well, and says what is missing and what has come of it. The component is\n\
         `build/{name}.wasm`.\n\
         \n\
         ## Trying\n\
         \n\
         {INDENT}flamegate filter test\n\
         {INDENT}flamegate filter run build/{name}.wasm --config '{config}' {handed}\n\
         \n\
         {tried}\n\
         \n\
         ## What it does\n\
         {job}\n\
         In Flamegate's configuration:\n\
         \n\
         {INDENT}wasm.filter \"{module}\" {{\n\
         {INDENT}    module     = \"{name}.wasm\"\n\
         {INDENT}    config     = \"{config}\"\n\
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

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(Language, Subject); 7] = [
        (Language::Rust, Subject::Labels),
        (Language::C, Subject::Labels),
        (Language::Go, Subject::Labels),
        (Language::Python, Subject::Labels),
        (Language::JavaScript, Subject::Labels),
        (Language::Rust, Subject::Profile),
        (Language::Python, Subject::Profile),
    ];

    #[test]
    fn a_project_stands_alone() {
        let name = ProjectName::of("zone");
        for (language, subject) in ALL {
            let files = language.files(subject, &name).unwrap();
            let text = |path: &str| {
                let file = files.iter().find(|file| file.path == path).unwrap();
                std::str::from_utf8(&file.bytes).unwrap()
            };
            for ProjectFile { path, .. } in files.iter().filter(|file| !file.path.ends_with(".gz")) {
                for foreign in ["../", "team-label", "team_label", "\"redact\""] {
                    assert!(!text(path).contains(foreign), "{language:?}: {foreign} in {path}:\n{}", text(path));
                }
            }
            let (config, world) = match subject {
                Subject::Labels => ("team search", "labels-filter"),
                Subject::Profile => ("com.acme.", "profile-filter"),
            };
            for part in ["# zone\n", "make\n", "`cases.json` says", config, world, "flamegate filter test"] {
                assert!(
                    text("README.md").contains(part),
                    "{language:?}: {part:?} is missing in\n{}",
                    text("README.md")
                );
            }
            assert!(text("Makefile").contains("build/zone.wasm"), "{language:?}");
            assert!(text(".gitignore").starts_with("/build/\n"), "{language:?}");
            let sources = files.iter().filter(|file| !file.path.ends_with(".wit") && file.path != "README.md");
            let worlds: Vec<_> = sources
                .filter_map(|file| std::str::from_utf8(&file.bytes).ok())
                .flat_map(|text| ["labels-filter", "profile-filter"].into_iter().filter(|world| text.contains(world)))
                .collect();
            assert!(!worlds.is_empty() && worlds.iter().all(|named| *named == world), "{language:?}: {worlds:?}");
        }
        for language in [Language::C, Language::Go, Language::JavaScript] {
            assert_eq!(language.files(Subject::Profile, &name), None, "{language:?}");
        }
    }

    /// A folder that gains a file has it in the template as well.
    #[test]
    fn nothing_of_the_examples_is_left_out() {
        let listed = |folder: &str| -> BTreeSet<String> {
            let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-examples").join(folder);
            let listed = std::process::Command::new("git")
                .args(["ls-files", "--cached", "--others", "--exclude-standard"])
                .current_dir(&root)
                .output()
                .unwrap();
            let listed = String::from_utf8(listed.stdout).unwrap();
            assert!(!listed.is_empty(), "{folder}");
            listed.lines().map(str::to_owned).collect()
        };
        let name = ProjectName::of("x");
        let of_wit = || WIT.map(|(path, _)| path.to_owned());
        let found = |language: Language, subject| -> BTreeSet<String> {
            language.files(subject, &name).unwrap().into_iter().map(|file| file.path.to_owned()).collect()
        };
        for (language, folder) in LANGUAGES.into_iter().zip(["rust", "c", "go", "python", "javascript"]) {
            let mut expected = listed(&format!("team-label/{folder}"));
            expected.extend([".gitignore", "cases.json"].map(str::to_owned));
            expected.extend(of_wit());
            assert_eq!(found(language, Subject::Labels), expected, "{language:?}");
        }
        // Of all languages together.
        let written: BTreeSet<String> =
            [Language::Rust, Language::Python].into_iter().flat_map(|it| found(it, Subject::Profile)).collect();
        let missing: Vec<String> = listed("redact").into_iter().filter(|path| !written.contains(path)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn the_lock_file_is_as_cargo_writes_it() {
        let lock = RUST.iter().find(|(path, _)| *path == "Cargo.lock").unwrap().1;
        assert_eq!(in_order(lock), lock);
        let other = in_order(&own(&ProjectName::of("zone"), &TEAM_LABEL, lock));
        let names: Vec<&str> = other.lines().filter_map(|line| line.strip_prefix("name = ")).collect();
        assert!(names.is_sorted() && names.contains(&"\"zone\""), "{names:?}");
        assert_ne!(names.last(), None);
    }
}
