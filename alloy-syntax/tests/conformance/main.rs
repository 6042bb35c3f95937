//! The conformance cases of the language, as data in `tests/conformance/syntax_*.json` of the workspace.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::result_large_err,
    clippy::needless_pass_by_value,
    reason = "what a test's own functions cannot do fails the test"
)]

mod decode;
mod expressions;
mod files;
mod formatting;
mod scanning;
mod values;

use serde_json::Value as Json;

/// The cases of a file, and the file as a whole.
fn load(name: &str) -> (Vec<Json>, Json) {
    let path = format!("{}/../tests/conformance/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file: Json = serde_json::from_str(&text).unwrap();
    let cases = file["cases"].as_array().unwrap().clone();
    assert_eq!(Some(cases.len() as u64), file["count"].as_u64(), "{name} is not whole");
    (cases, file)
}

/// Fails with all that is wrong, not just the first.
fn check(cases: &[Json], run: impl Fn(&Json) -> Result<(), String>) {
    let wrong: Vec<String> =
        cases.iter().filter_map(|case| run(case).err().map(|error| format!("{}: {error}", case["input"]))).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn same<T: PartialEq + std::fmt::Debug>(got: T, wanted: T) -> Result<(), String> {
    if got == wanted { Ok(()) } else { Err(format!("\n   got {got:?}\n  want {wanted:?}")) }
}

fn text<'j>(case: &'j Json, field: &str) -> &'j str {
    case[field].as_str().unwrap_or_else(|| panic!("{field} of {case}"))
}

/// Errors as the cases give them.
fn places(errors: &Json) -> Vec<(u64, u64, String)> {
    let errors = errors.as_array().into_iter().flatten();
    errors
        .map(|error| {
            (error["line"].as_u64().unwrap(), error["col"].as_u64().unwrap(), text(error, "message").to_owned())
        })
        .collect()
}

/// Our errors in the same form.
fn our_places(errors: &alloy_syntax::Diagnostics) -> Vec<(u64, u64, String)> {
    errors
        .iter()
        .map(|error| {
            let start = error.span.unwrap().start;
            (start.line as u64, start.column as u64, error.message.clone())
        })
        .collect()
}
