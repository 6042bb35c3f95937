//! Which tests a ring runs. All rings choose the packages of the whole workspace, and of these the tests by the names of
//! their files: packages that are chosen alone have other features, and their dependencies would be built again.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::steps;

/// The package whose tests run the whole program.
const END_TO_END: &str = "tests";

/// What needs no binary: tests beside the code of all packages, and those in the folders of all but one.
pub(crate) fn units(root: &Path) -> Result<Command> {
    let mut names = BTreeSet::new();
    for entry in root.read_dir().with_context(|| format!("list {}", root.display()))? {
        let package = entry.with_context(|| format!("list {}", root.display()))?.path();
        if package.join("Cargo.toml").is_file() && !package.ends_with(END_TO_END) && package.join("tests").is_dir() {
            names.append(&mut names_in(&package.join("tests"))?);
        }
    }
    let twice: Vec<_> = names.intersection(&names_in(&root.join(END_TO_END).join("tests"))?).cloned().collect();
    ensure!(twice.is_empty(), "{twice:?} are names of tests in {END_TO_END}/tests, too: both rings would run them");
    Ok(chosen("--lib --bins", root, &names))
}

/// Those that run the whole program.
pub(crate) fn end_to_end(root: &Path) -> Result<Command> {
    Ok(chosen("", root, &names_in(&root.join(END_TO_END).join("tests"))?))
}

fn chosen(arguments: &str, root: &Path, names: &BTreeSet<String>) -> Command {
    let mut tests = steps::test(root, arguments);
    tests.args(names.iter().flat_map(|name| ["--test", name]));
    tests
}

fn names_in(folder: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in folder.read_dir().with_context(|| format!("list {}", folder.display()))? {
        let path = entry.with_context(|| format!("list {}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            && let Some(name) = path.file_stem()
        {
            names.insert(name.to_string_lossy().into_owned());
        }
    }
    Ok(names)
}
