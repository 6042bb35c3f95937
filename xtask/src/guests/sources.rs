//! The files that a component is made of.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::record::sha256;

/// All sources of one filter, by their paths in the repository, in the order of their bytes.
pub(super) struct Sources {
    pub(super) files: Vec<String>,
    /// What `sha256sum FILES | sha256sum` prints.
    pub(super) sha256: String,
}

impl Sources {
    pub(super) fn read(root: &Path, name: &str) -> anyhow::Result<Self> {
        let mut files = vec![
            "guest-examples/Cargo.lock".to_owned(),
            "guest-examples/Cargo.toml".to_owned(),
            format!("guest-examples/{name}/Cargo.toml"),
        ];
        collect(root, &format!("guest-examples/{name}/src"), &mut files)?;
        collect(root, "wit", &mut files)?;
        files.sort_unstable();
        let mut list = String::new();
        for file in &files {
            let bytes = fs::read(root.join(file)).with_context(|| format!("reading {file}"))?;
            list.push_str(&format!("{}  {file}\n", sha256(&bytes)));
        }
        Ok(Self { sha256: sha256(list.as_bytes()), files })
    }
}

fn collect(root: &Path, folder: &str, files: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in fs::read_dir(root.join(folder)).with_context(|| format!("reading {folder}"))? {
        let entry = entry?;
        let name =
            entry.file_name().into_string().map_err(|name| anyhow::anyhow!("{folder}: {name:?} is not UTF-8"))?;
        let path = format!("{folder}/{name}");
        if entry.file_type()?.is_dir() {
            collect(root, &path, files)?;
        } else if name.ends_with(".rs") || name.ends_with(".wit") {
            files.push(path);
        }
    }
    Ok(())
}
