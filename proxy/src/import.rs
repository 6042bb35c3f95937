//! Imports: where modules come from.

use std::sync::Arc;

use alloy_syntax::Value;

use crate::config::Source;

mod file;
mod git;
mod http;
mod string;

pub use file::ImportFile;
pub use git::ImportGit;
pub use http::ImportHttp;
pub use string::ImportString;

/// What an import has brought; travels as its exports.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Imported {
    /// The files.
    pub files: Vec<Source>,
    /// The folder that `module_path` names in them.
    pub module_path: Arc<str>,
    /// Whether someone else decides what it is: then it may not read files of this host.
    pub remote: bool,
}

impl Imported {
    /// What the exports of an import hold.
    pub(crate) fn of(exports: &Value) -> Option<Self> {
        let exports = exports.fields()?;
        let file = |file: &Value| {
            let fields = file.fields()?;
            let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
            Some(Source { name: text("name")?, text: text("text")? })
        };
        Some(Self {
            files: exports.get("files")?.elements()?.iter().map(file).collect::<Option<_>>()?,
            module_path: exports.get("module_path")?.as_str()?.into(),
            remote: exports.get("remote")?.as_bool()?,
        })
    }

    /// As exports.
    pub(crate) fn exports(&self) -> Value {
        let file = |source: &Source| {
            Value::object([("name", Value::from(&*source.name)), ("text", Value::from(&*source.text))])
        };
        Value::object([
            ("files", Value::array(self.files.iter().map(file))),
            ("module_path", Value::from(&*self.module_path)),
            ("remote", Value::from(self.remote)),
        ])
    }
}
