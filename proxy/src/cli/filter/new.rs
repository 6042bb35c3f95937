//! `flamegate filter new`.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::Args;

use super::tell;
use super::templates::{Language, ProjectName, Subject};

/// Flags of `filter new`.
#[derive(Debug, Args)]
pub struct NewFlags {
    /// The language to write it in
    #[arg(long, value_enum)]
    lang: Language,
    /// What it is to look into
    #[arg(long, value_enum, default_value_t = Subject::Labels)]
    world: Subject,
    /// The folder: a new one, or an empty one. The filter is called as its last part
    folder: PathBuf,
}

/// Writes the project; whatever is there stays.
pub(super) fn run(flags: &NewFlags) -> anyhow::Result<ExitCode> {
    let folder = &flags.folder;
    // As `filter .` in an empty folder has no name of its own.
    let name = ProjectName::of(&last_part(folder)?);
    let Some(files) = flags.lang.files(flags.world, &name) else {
        bail!(
            "of a filter of profiles there is no example in this language: name another one (--lang rust or python), or \
             begin with one of labels and export what the world profile-filter in wit/profile.wit asks for. JavaScript \
             cannot: its componentize-qjs does not give back the profile that a call is lent"
        );
    };
    claim(folder)?;
    let mut said = String::new();
    for file in files {
        write(&folder.join(file.path), &file.bytes)?;
        said += &format!("  {}\n", file.path);
    }
    let shown = folder.display();
    tell(&format!(
        "{name}, a filter to begin with, in {shown}:\n{said}\nNext: README.md says what to install; then\n  \
         flamegate filter build {shown}\n  flamegate filter test {shown}\n"
    ));
    Ok(ExitCode::SUCCESS)
}

fn last_part(folder: &Path) -> anyhow::Result<String> {
    let absolute = std::path::absolute(folder).with_context(|| format!("{} is no path", folder.display()))?;
    let real = absolute.canonicalize().unwrap_or(absolute);
    Ok(real.file_name().unwrap_or_default().to_string_lossy().into_owned())
}

/// Makes the folder where it is missing; refuses one that holds anything.
fn claim(folder: &Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot make the folder {}", folder.display());
    match fs::metadata(folder) {
        Ok(there) => {
            ensure!(there.is_dir(), "{} is there and no folder: name a new one", folder.display());
            let mut entries = fs::read_dir(folder).with_context(cannot)?;
            if let Some(entry) = entries.next() {
                let entry = entry.with_context(cannot)?.file_name();
                bail!("{} is not empty ({} is there): name a new folder", folder.display(), entry.to_string_lossy());
            }
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => fs::create_dir_all(folder).with_context(cannot),
        Err(error) => Err(error).with_context(cannot),
    }
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(cannot)?;
    }
    // Nothing is overwritten, even where someone writes into the folder meanwhile.
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).with_context(cannot)?;
    file.write_all(bytes).with_context(cannot)
}
