//! The standard library.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::decode::{DecodeError, DecodeValue};
use crate::value::{CallArguments, CallError, Function, Value};

mod arrays;
mod base64;
mod choice;
mod deprecated;
mod files;
pub(crate) mod go_format;
mod go_text;
mod json;
mod json_path;
mod sensitive;
mod strings;
mod system;
mod url;
mod yaml;

pub use deprecated::{deprecated_for, deprecation_warnings};

/// How the standard library is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StdlibOptions {
    /// Whether experimental functions may be called.
    pub experimental: bool,
    /// What `constants.version` says: `vX.Y.Z`.
    pub version: String,
    /// Where `sys.env` looks.
    pub environment: Environment,
}

/// Variables by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Environment {
    /// Those of the process.
    #[default]
    Process,
    /// These and no others.
    Fixed(BTreeMap<String, String>),
}

impl Default for StdlibOptions {
    /// No experimental functions, the version of a development build, the environment of the process.
    fn default() -> Self {
        Self { experimental: false, version: "v0.0.0".to_owned(), environment: Environment::Process }
    }
}

/// Most bytes of a text that a function makes: as many as a file of a configuration may have. A few functions make far
/// longer texts than they are given.
const MAX_TEXT: usize = 16 << 20;

/// Functions that need a lower stability level.
const EXPERIMENTAL: [&str; 2] = ["array.combine_maps", "array.group_by"];

/// Whether a name is one of the standard library's, so that no component should have it.
pub fn is_stdlib_name(name: &str) -> bool {
    const NAMES: [&str; 9] =
        ["array", "coalesce", "constants", "convert", "encoding", "file", "json_path", "string", "sys"];
    NAMES.contains(&name) || deprecated_for(name).is_some()
}

/// Whether a function, by its full name, is experimental.
pub fn is_experimental(full_name: &str) -> bool {
    EXPERIMENTAL.contains(&full_name)
}

/// The top-level names and what they mean.
pub(crate) fn names(options: &StdlibOptions) -> Vec<(String, Value)> {
    let mut names = vec![
        ("constants".to_owned(), system::constants(options)),
        ("sys".to_owned(), Value::object([("env", system::env(&options.environment))])),
        ("convert".to_owned(), namespace("convert", sensitive::FUNCTIONS, options)),
        ("array".to_owned(), namespace("array", arrays::FUNCTIONS, options)),
        ("encoding".to_owned(), encoding(options)),
        ("string".to_owned(), namespace("string", strings::FUNCTIONS, options)),
        ("file".to_owned(), namespace("file", files::FUNCTIONS, options)),
        ("coalesce".to_owned(), Function::tracing("coalesce", choice::coalesce).into()),
        ("json_path".to_owned(), Body::Plain(json_path::json_path).named("json_path")),
    ];
    let old_names: Vec<_> = deprecated::RENAMED
        .iter()
        .filter_map(|(old, new)| {
            let (namespace, function) = new.split_once('.')?;
            let (_, fields) = names.iter().find(|(name, _)| name == namespace)?;
            Some(((*old).to_owned(), fields.fields()?.get(function)?.clone()))
        })
        .collect();
    names.extend(old_names);
    names
}

fn encoding(options: &StdlibOptions) -> Value {
    let functions: Vec<_> = [json::FUNCTIONS, yaml::FUNCTIONS, base64::FUNCTIONS, url::FUNCTIONS].concat();
    namespace("encoding", &functions, options)
}

/// A function's body.
#[derive(Clone, Copy)]
enum Body {
    /// Makes a new value.
    Plain(fn(&CallArguments<'_, '_>) -> Result<Value, CallError>),
    /// Passes on parts of its arguments.
    Tracing(for<'e> fn(&CallArguments<'_, 'e>) -> Result<crate::evaluate::Traced<'e>, CallError>),
}

type Named = (&'static str, Body);

impl Body {
    fn named(self, full_name: &str) -> Value {
        match self {
            Self::Plain(body) => {
                Function::tracing(full_name, move |arguments| body(arguments).map(crate::evaluate::Traced::untraced))
            }
            Self::Tracing(body) => Function::tracing(full_name, body),
        }
        .into()
    }
}

fn namespace(name: &str, functions: &[Named], options: &StdlibOptions) -> Value {
    Value::object(functions.iter().map(|&(function, body)| {
        let full_name = format!("{name}.{function}");
        let value = if is_experimental(&full_name) && !options.experimental {
            not_permitted(&full_name)
        } else {
            body.named(&full_name)
        };
        (function, value)
    }))
}

fn not_permitted(full_name: &str) -> Value {
    let message = "is experimental: allow it with --stability.level=experimental";
    Function::new(full_name, move |_| Err(CallError::Function(message.to_owned()))).into()
}

/// Refuses to make a text of more than [`MAX_TEXT`] bytes.
fn check_length(bytes: usize) -> Result<(), CallError> {
    if bytes <= MAX_TEXT {
        return Ok(());
    }
    Err(CallError::Function(format!("would make a text of more than {MAX_TEXT} bytes: make it of shorter parts")))
}

/// The elements of an argument that must be an array of `T`.
fn decode_all<T: DecodeValue>(elements: &Arc<[Value]>, index: usize) -> Result<Vec<T>, CallError> {
    let decode = |(at, element)| T::decode_value(element).map_err(|error: DecodeError| error.in_element(at));
    let decoded: Result<Vec<T>, DecodeError> = elements.iter().enumerate().map(decode).collect();
    decoded.map_err(|error| CallError::Argument { index, error })
}
