//! Where the program runs.

use super::{Environment, StdlibOptions};
use crate::decode::DecodeValue;
use crate::value::{CallError, Function, Value};

/// Go's names for what Rust names otherwise.
pub(super) fn constants(options: &StdlibOptions) -> Value {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64",
        other => other,
    };
    Value::object([
        ("hostname", Value::string(gethostname::gethostname().to_string_lossy())),
        ("os", Value::string(os)),
        ("arch", Value::string(arch)),
        ("version", Value::string(&options.version)),
    ])
}

/// The function that gives a variable of the environment; empty if it is not set.
pub(super) fn env(environment: &Environment) -> Value {
    let environment = environment.clone();
    Function::new("sys.env", move |arguments| {
        let [name] = arguments else {
            return Err(CallError::Function(format!("expected 1 args, got {}", arguments.len())));
        };
        let name = String::decode_value(name).map_err(|error| CallError::Argument { index: 0, error })?;
        Ok(match &environment {
            Environment::Process => Value::text(std::env::var_os(name).unwrap_or_default().into_encoded_bytes()),
            Environment::Fixed(variables) => Value::string(variables.get(&name).map_or("", String::as_str)),
        })
    })
    .into()
}
