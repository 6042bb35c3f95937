//! Values to call.

use std::fmt;
use std::sync::Arc;

use super::Value;
use crate::decode::{DecodeError, DecodeValue};
use crate::evaluate::Traced;

type Body = dyn for<'e> Fn(&Arguments<'_, 'e>) -> Result<Traced<'e>, CallError> + Send + Sync;

/// A function of the language.
#[derive(Clone)]
pub struct Function {
    name: Arc<str>,
    body: Arc<Body>,
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The function failed: reported at its name.
    #[error("{0}")]
    Function(String),
    /// An argument is wrong: reported at it.
    #[error("argument {}: {error}", index + 1)]
    Argument {
        /// Which argument, from 0.
        index: usize,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The call as such is wrong; no place in the text is to blame more than another.
    #[error("{0}")]
    Call(String),
}

impl Function {
    /// A function of this name.
    pub fn new<F>(name: &str, body: F) -> Self
    where
        F: Fn(&[Value]) -> Result<Value, CallError> + Send + Sync + 'static,
    {
        Self::tracing(name, move |arguments| {
            let values: Vec<Value> = arguments.0.iter().map(|argument| argument.value.clone()).collect();
            body(&values).map(Traced::untraced)
        })
    }

    /// A function whose result may hold values of its arguments, which keep their places in the text.
    pub(crate) fn tracing<F>(name: &str, body: F) -> Self
    where
        F: for<'e> Fn(&Arguments<'_, 'e>) -> Result<Traced<'e>, CallError> + Send + Sync + 'static,
    {
        Self { name: Arc::from(name), body: Arc::new(body) }
    }

    /// The function's full name, as `string.join`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls the function.
    ///
    /// # Errors
    ///
    /// Those of the function.
    pub fn call(&self, arguments: &[Value]) -> Result<Value, CallError> {
        let arguments: Vec<Traced<'_>> = arguments.iter().cloned().map(Traced::untraced).collect();
        self.call_traced(&arguments).map(|result| result.value)
    }

    pub(crate) fn call_traced<'e>(&self, arguments: &[Traced<'e>]) -> Result<Traced<'e>, CallError> {
        (self.body)(&Arguments(arguments))
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "function({})", self.name)
    }
}

/// With what a function is called.
#[derive(Debug)]
pub(crate) struct Arguments<'a, 'e>(pub(crate) &'a [Traced<'e>]);

impl<'a, 'e> Arguments<'a, 'e> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Fails unless there are exactly `expected`.
    pub(crate) fn expect(&self, expected: usize) -> Result<(), CallError> {
        if self.len() == expected {
            Ok(())
        } else {
            Err(CallError::Function(format!("expected {expected} args, got {}", self.len())))
        }
    }

    /// The argument, or `null`.
    pub(crate) fn value(&self, index: usize) -> &'a Value {
        static NULL: Value = Value::Null;
        self.0.get(index).map_or(&NULL, |argument| &argument.value)
    }

    pub(crate) fn traced(&self) -> impl Iterator<Item = &'a Traced<'e>> + use<'a, 'e> {
        self.0.iter()
    }

    /// The argument as a `T`.
    pub(crate) fn decode<T: DecodeValue>(&self, index: usize) -> Result<T, CallError> {
        T::decode_value(self.value(index)).map_err(|error| CallError::Argument { index, error })
    }
}
