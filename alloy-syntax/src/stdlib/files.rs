//! Names of files.

use super::{Body, Named};
use crate::value::{CallArguments, CallError, Value};

pub(super) const FUNCTIONS: &[Named] = &[("path_join", Body::Plain(path_join))];

/// The parts that are not empty with `/` between them, cleaned.
fn path_join(arguments: &CallArguments<'_, '_>) -> Result<Value, CallError> {
    let parts: Result<Vec<String>, CallError> = (0..arguments.len()).map(|index| arguments.decode(index)).collect();
    let parts: Vec<String> = parts?.into_iter().filter(|part| !part.is_empty()).collect();
    Ok(Value::from(if parts.is_empty() { String::new() } else { clean(&parts.join("/")) }))
}

/// A path without `.`, without repeated slashes, and without `..` as far as it can be resolved.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            ".." if rooted => {}
            other => kept.push(other),
        }
    }
    let joined = kept.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}
