//! The modules of files, as imports call them.
//!
//! A code object says its file and its name, not its module. It follows from the path: folders of libraries are known by
//! their names, and all others are of a package for as long as they have an `__init__.py`.

/// Folders in which packages lie. The last one in a path counts.
const LIBRARIES: [&str; 3] = ["site-packages", "dist-packages", "lib-dynload"];
/// Folders above a module that are looked at.
const MAX_DEPTH: usize = 16;

/// The name of a file's module; empty where it has none. `is_package` says of a folder, without the last slash, whether
/// there is an `__init__.py` in it.
pub(super) fn of_file(path: &str, is_package: impl Fn(&str) -> bool) -> String {
    // Modules that are built in as code: `<frozen importlib._bootstrap>`. What else is between brackets has no file.
    if let Some(inner) = path.strip_prefix('<') {
        let frozen = inner.strip_prefix("frozen ").and_then(|rest| rest.strip_suffix('>'));
        return frozen.unwrap_or_default().to_owned();
    }
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.strip_suffix(".py").or_else(|| file.strip_suffix(".pyc")).unwrap_or(file);
    let mut parts: Vec<&str> = packages(folder, is_package);
    if stem != "__init__" || parts.is_empty() {
        parts.push(stem);
    }
    parts.join(".")
}

/// The packages of a folder, the outermost first.
fn packages(folder: &str, is_package: impl Fn(&str) -> bool) -> Vec<&str> {
    let names: Vec<&str> = folder.split('/').collect();
    if let Some(library) = names.iter().rposition(|name| is_library(name)) {
        return names.get(library + 1..).unwrap_or_default().to_vec();
    }
    let mut found = Vec::new();
    let mut rest = folder;
    while found.len() < MAX_DEPTH
        && let Some((above, name)) = rest.rsplit_once('/')
        && !name.is_empty()
        && is_package(rest)
    {
        found.push(name);
        rest = above;
    }
    found.reverse();
    found
}

fn is_library(name: &str) -> bool {
    let of_version =
        |version: &str| version.split_once('.').is_some_and(|(major, minor)| is_number(major) && is_number(minor));
    LIBRARIES.contains(&name) || name.strip_prefix("python").is_some_and(of_version)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_called_as_they_are_imported() {
        let is_package = |folder: &str| ["/srv/shop/api", "/srv/shop/api/v1", "/"].contains(&folder);
        for (path, module) in [
            ("/usr/lib/python3.11/json/decoder.py", "json.decoder"),
            ("/usr/lib/python3.11/json/__init__.py", "json"),
            ("/usr/lib/python3.11/threading.py", "threading"),
            ("/app/.venv/lib/python3.12/site-packages/google/cloud/storage.py", "google.cloud.storage"),
            ("/usr/lib/python3/dist-packages/yaml/loader.py", "yaml.loader"),
            ("/srv/shop/api/v1/cart.py", "api.v1.cart"),
            ("/srv/shop/api/v1/__init__.py", "api.v1"),
            ("/srv/shop/main.py", "main"),
            ("/srv/__init__.py", "__init__"),
            ("main.py", "main"),
            ("script", "script"),
            ("<frozen importlib._bootstrap>", "importlib._bootstrap"),
            ("<string>", ""),
            ("<stdin>", ""),
            ("", ""),
        ] {
            assert_eq!(of_file(path, is_package), module, "{path}");
        }
    }
}
