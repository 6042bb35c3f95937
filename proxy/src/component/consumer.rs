//! Exports that take spans.

use std::any::Any;

use alloy_syntax::schema::Export;
use alloy_syntax::{CapsuleValue, DecodeError, DecodeValue, Value, decode_capsule};

use crate::telemetry::traces::Consumer;

/// The type of an export to which telemetry can be sent.
const CONSUMER: &str = "otelcol.Consumer";

/// The export of everything that takes telemetry, of which there are only the spans of this process.
pub const CONSUMER_EXPORT: Export =
    Export { name: "input", type_name: CONSUMER, doc: "Takes spans: for write_to of the tracing block." };

impl CapsuleValue for Consumer {
    fn type_name(&self) -> &str {
        CONSUMER
    }

    fn equals(&self, other: &dyn CapsuleValue) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref::<Self>().is_some_and(|other| self == other)
    }

    fn display(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }
}

impl DecodeValue for Consumer {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        Ok(decode_capsule::<Self>(value, CONSUMER)?.as_ref().clone())
    }

    fn encode_value(&self) -> Value {
        Value::capsule(self.clone())
    }

    fn type_name() -> String {
        CONSUMER.to_owned()
    }
}
