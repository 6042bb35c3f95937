//! The examples as `flamegate filter new` writes them, built by `flamegate filter build`: the same sources, in the hands
//! of somebody who begins a filter.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::examples::{LANGUAGES, Language, collect};
use crate::steps::{self, command};

/// What a build leaves in its folder for the next one.
const KEPT: [&str; 2] = ["build", "node_modules"];

/// Languages that have an example of a filter of profiles.
const OF_PROFILES: [Language; 2] = [Language::Rust, Language::Python];

/// Begins a project in each language, builds and tests it; the components are where
/// [`build_examples`](super::build_examples) puts them.
///
/// # Errors
/// As [`build_examples`](super::build_examples); a component that is no filter, or that does not do as its cases say.
pub(crate) fn build_projects(root: &Path) -> anyhow::Result<PathBuf> {
    let root = &super::absolute(root)?;
    steps::build_flamegate(root)?;
    let flamegate = root.join("target/debug/flamegate");
    for language in OF_PROFILES {
        let project = root.join("target/guest-projects").join(language.name()).join("redact");
        begin(&flamegate, language, "profile", &project)?;
        steps::run(language.equip(root, &mut command(&project, "make"))?)?;
        steps::run(Command::new(&flamegate).args(["filter", "test"]).current_dir(&project))?;
    }
    collect(root, &LANGUAGES, |language| {
        // Called as the examples are: then the components are the same, too.
        let project = root.join("target/guest-projects").join(language.name()).join("team-label");
        begin(&flamegate, language, "labels", &project)?;
        let component = language.component(&project)?;
        if language == Language::Python {
            // Compiling its 18 MB for a look takes longer than all else: the tests of the examples do it once.
            steps::run(language.equip(root, &mut command(&project, "make"))?)?;
        } else {
            let mut build = Command::new(&flamegate);
            steps::run(language.equip(root, build.args(["filter", "build"]).current_dir(&project))?)?;
            steps::run(Command::new(&flamegate).args(["filter", "test"]).current_dir(&project))?;
        }
        Ok(component)
    })
}

/// A new project, but for what the build of another one has fetched and compiled.
fn begin(flamegate: &Path, language: Language, world: &str, project: &Path) -> anyhow::Result<()> {
    let parent = project.parent().context("a project has a folder")?;
    let aside = parent.join("kept");
    fs::create_dir_all(&aside).with_context(|| format!("creating {}", aside.display()))?;
    for name in KEPT {
        hand_over(&project.join(name), &aside.join(name))?;
    }
    if project.exists() {
        fs::remove_dir_all(project).with_context(|| format!("removing {}", project.display()))?;
    }
    let new = ["filter", "new", "--world", world, "--lang", language.name()];
    steps::run(Command::new(flamegate).args(new).arg(project))?;
    for name in KEPT {
        hand_over(&aside.join(name), &project.join(name))?;
    }
    Ok(())
}

fn hand_over(from: &Path, to: &Path) -> anyhow::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("removing {}", to.display()))?;
    }
    fs::rename(from, to).with_context(|| format!("moving {} to {}", from.display(), to.display()))
}
