//! Secrets made plain.

use super::{Body, Named};
use crate::value::{CallArguments, CallError, Secret, Value};

pub(super) const FUNCTIONS: &[Named] = &[("nonsensitive", Body::Plain(nonsensitive))];

fn nonsensitive(arguments: &CallArguments<'_, '_>) -> Result<Value, CallError> {
    arguments.expect(1)?;
    let secret: Secret = arguments.decode(0)?;
    Ok(Value::string(secret.expose()))
}
