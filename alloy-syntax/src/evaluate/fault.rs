//! What went wrong while a value was made, and where.

use std::sync::Arc;

use super::Trace;
use crate::ast::Expr;
use crate::decode::DecodeError;
use crate::diagnostic::{Diagnostic, Severity};
use crate::format::format_expression;
use crate::position::Span;

const UNKNOWN: &str = "is not known before the components run";

#[derive(Debug)]
pub(crate) enum Fault<'e> {
    /// A value is to blame: the message starts with its text.
    Value {
        /// The expression that made it, if it is known.
        source: Option<&'e Expr>,
        /// Which part of the expression's value: `.field[0]`.
        path: String,
        message: String,
    },
    /// A place is to blame.
    At { span: Span, message: String, help: Option<String> },
    /// No place is to blame.
    Nowhere(String),
    /// Nothing is wrong, and the value is not known.
    Unknown,
}

impl<'e> Fault<'e> {
    /// A whole value is to blame.
    pub(crate) fn of(trace: &Trace<'e>, message: impl Into<String>) -> Self {
        Self::Value { source: trace.source, path: String::new(), message: message.into() }
    }

    /// A part of a value is to blame: it is shown by the innermost expression that made it.
    pub(crate) fn decode(trace: &Trace<'e>, error: &DecodeError) -> Self {
        let mut source = trace.source;
        let mut path = String::new();
        let mut at = trace.clone();
        for step in error.path() {
            path.push_str(&step.to_string());
            at = at.part(step);
            if at.source.is_some() {
                source = at.source;
                path.clear();
            }
        }
        Self::Value { source, path, message: error.message().to_owned() }
    }

    pub(crate) fn into_diagnostic(self, file: &Arc<str>) -> Diagnostic {
        let (span, message, help) = match self {
            Self::Value { source: Some(source), path, message } => {
                (Some(source.span), format!("{}{path} {message}", format_expression(source)), None)
            }
            Self::Value { source: None, path, message } => (None, format!("{path} {message}"), None),
            Self::At { span, message, help } => (Some(span), message, help),
            Self::Nowhere(message) => (None, message, None),
            Self::Unknown => (None, UNKNOWN.to_owned(), None),
        };
        Diagnostic { severity: Severity::Error, file: Arc::clone(file), span, message, help }
    }

    /// As [`into_diagnostic`](Self::into_diagnostic), at `value` where no narrower place is known.
    pub(crate) fn into_diagnostic_at(self, value: &'e Expr) -> Diagnostic {
        let fault = match self {
            Self::Value { source: None, path, message } => Self::Value { source: Some(value), path, message },
            Self::Nowhere(message) => Self::At { span: value.span, message, help: None },
            Self::Unknown => Self::Value { source: Some(value), path: String::new(), message: UNKNOWN.to_owned() },
            placed => placed,
        };
        fault.into_diagnostic(&value.file)
    }
}
