//! Secrets: strings become them by themselves, not the other way round.

use super::{DecodeError, DecodeValue, wrong_capsule};
use crate::value::{OptionalSecret, Secret, Value};

impl DecodeValue for Secret {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        match value {
            Value::Null => Ok(Self::default()),
            Value::String(text) => Ok(Self::new(text)),
            Value::Capsule(capsule) => {
                let exposed = capsule
                    .downcast_ref::<Self>()
                    .cloned()
                    .or_else(|| capsule.downcast_ref().map(|secret: &OptionalSecret| Self::new(secret.expose())));
                exposed.ok_or_else(|| wrong_capsule("secret", capsule))
            }
            other => Err(DecodeError::expected("capsule", other)),
        }
    }

    fn encode_value(&self) -> Value {
        self.clone().into()
    }

    fn type_name() -> String {
        "secret".to_owned()
    }
}

impl DecodeValue for OptionalSecret {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        match value {
            Value::Null => Ok(Self::default()),
            Value::String(text) => Ok(Self::plain(text)),
            Value::Capsule(capsule) => {
                let exposed = capsule
                    .downcast_ref::<Self>()
                    .cloned()
                    .or_else(|| capsule.downcast_ref().map(|secret: &Secret| Self::secret(secret.expose())));
                exposed.ok_or_else(|| wrong_capsule("optional_secret", capsule))
            }
            other => Err(DecodeError::expected("capsule", other)),
        }
    }

    fn encode_value(&self) -> Value {
        self.clone().into()
    }

    fn type_name() -> String {
        "optional_secret".to_owned()
    }
}
