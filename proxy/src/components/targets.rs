//! Targets as an argument: decoded into the rows of a filter's table, which are then in memory once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_syntax::{DecodeError, DecodeValue, Value};
use profiler_core::labels::Labels;

use super::discovery::Target;
use crate::filters::Rows;

/// The label that says where a target is.
pub(super) const ADDRESS: &str = "__address__";
/// The label that says which process it is.
pub(super) const PID: &str = "__process_pid__";
/// The label that says which container it is.
pub(super) const CONTAINER: &str = "__container_id__";
const KUBERNETES_CONTAINER: &str = "__meta_kubernetes_pod_container_id";
/// Discovered container ids of Kubernetes name their runtime.
const RUNTIMES: [&str; 3] = ["docker://", "containerd://", "cri-o://"];
const FROM_DISCOVERY: [&str; 2] = ["__meta_docker_container_id", "__meta_dockerswarm_task_container_id"];

/// A list of targets. A clone shares them.
#[derive(Debug, Default)]
pub(super) struct Targets(Mutex<Rows>);

impl Targets {
    /// The rows: those of before, where they are the same. These targets are then held as them, too: arguments that are
    /// evaluated again and say the same take no memory of their own.
    pub(super) fn rows(&self, before: Option<&Rows>) -> Rows {
        let mut rows = self.locked();
        if let Some(before) = before.filter(|before| **before == *rows) {
            *rows = before.clone();
        }
        rows.clone()
    }

    fn locked(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for Targets {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.rows(None)))
    }
}

impl PartialEq for Targets {
    fn eq(&self, other: &Self) -> bool {
        self.rows(None) == other.rows(None)
    }
}

/// As a list of objects decodes. Lists in it stand for their elements: the reference's documentation has one around the
/// targets of a discovery, which the reference itself refuses.
impl DecodeValue for Targets {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        if value.is_null() {
            return Ok(Self::default());
        }
        let elements = value.elements().ok_or_else(|| DecodeError::expected("array", value))?;
        let mut targets = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let decoded = match element {
                Value::Array(inner) => extend(&mut targets, inner),
                _ => target(element).map(|target| targets.push(target)),
            };
            decoded.map_err(|error| error.in_element(index))?;
        }
        Rows::new(targets).map(|rows| Self(Mutex::new(rows))).map_err(|error| DecodeError::new(error.to_string()))
    }

    fn encode_value(&self) -> Value {
        let target = |target: &Labels| Value::object(target.iter().map(|(name, value)| (name, Value::from(value))));
        Value::array(self.rows(None).targets().iter().map(target))
    }

    fn type_name() -> String {
        Vec::<BTreeMap<String, String>>::type_name()
    }
}

fn extend(targets: &mut Vec<Labels>, elements: &[Value]) -> Result<(), DecodeError> {
    for (index, element) in elements.iter().enumerate() {
        targets.push(target(element).map_err(|error| error.in_element(index))?);
    }
    Ok(())
}

fn target(element: &Value) -> Result<Labels, DecodeError> {
    if element.is_null() {
        return Ok(Labels::empty());
    }
    if let Some(labels) = Target::labels(element) {
        return Ok(labels.clone());
    }
    let fields = element.fields().ok_or_else(|| DecodeError::expected("object", element))?;
    let mut texts = Vec::with_capacity(fields.len());
    for (name, field) in fields.iter() {
        let text = Arc::<str>::decode_value(field).map_err(|error| error.in_field(name))?;
        texts.push((name, text));
    }
    let pairs = texts.iter().map(|(name, text)| (name.as_bytes(), text.as_bytes()));
    Labels::from_pairs(pairs).map_err(|error| DecodeError::new(error.to_string()))
}

/// The process that a target is.
pub(super) fn pid_of(target: &Labels) -> Option<u32> {
    let text = target.value(PID)?;
    // A sign is no digit to the reference.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|pid| digits && *pid != 0)
}

/// The id of the container that a target is, under any of the names that discovery gives it.
pub(super) fn container_of(target: &Labels) -> Option<&str> {
    if let Some(id) = value(target, CONTAINER) {
        return Some(id);
    }
    if let Some(id) = value(target, KUBERNETES_CONTAINER) {
        return RUNTIMES.iter().find_map(|runtime| id.strip_prefix(runtime)).filter(|id| !id.is_empty());
    }
    FROM_DISCOVERY.iter().find_map(|name| value(target, name))
}

/// The value of a label, where it is there and not empty.
pub(super) fn value<'a>(target: &'a Labels, name: &str) -> Option<&'a str> {
    target.value(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(targets: &[&[(&str, Value)]]) -> Value {
        let target = |fields: &&[(&str, Value)]| Value::object(fields.iter().cloned());
        Value::array(targets.iter().map(target))
    }

    fn shown(value: &Value) -> Vec<String> {
        Targets::decode_value(value).unwrap().rows(None).targets().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn targets_decode_as_a_list_of_objects_does() {
        assert!(shown(&Value::Null).is_empty());
        let targets = list(&[&[("port", Value::Int(80)), ("a", Value::from(""))], &[("b", Value::Null)], &[]]);
        assert_eq!(shown(&targets), [r#"{a="", port="80"}"#, r#"{b=""}"#, "{}"]);
        for wrong in [Value::from("a"), Value::array([Value::Int(1)]), list(&[&[], &[("a", Value::array([]))]])] {
            let error = Targets::decode_value(&wrong).unwrap_err();
            assert_eq!(error, Vec::<BTreeMap<String, String>>::decode_value(&wrong).unwrap_err());
        }
        let large = list(&[&[("a", Value::from("x".repeat(2 << 20)))]]);
        assert!(Targets::decode_value(&large).unwrap_err().to_string().starts_with("[0] labels hold 2097153 bytes"));
    }

    #[test]
    fn a_list_among_the_targets_stands_for_its_elements() {
        let one = |value: &str| Value::object([("a", Value::from(value))]);
        let nested = Value::array([one("1"), Value::array([one("2"), one("3")]), Value::array([])]);
        assert_eq!(shown(&nested), [r#"{a="1"}"#, r#"{a="2"}"#, r#"{a="3"}"#]);
        for deeper in [Value::Int(1), Value::array([one("1")])] {
            let wrong = Value::array([one("1"), Value::array([deeper.clone()])]);
            let error = Targets::decode_value(&wrong).unwrap_err().to_string();
            assert!(error.starts_with("[1][0] should be object"), "{error}");
        }
    }

    #[test]
    fn targets_are_shown_as_they_came() {
        let targets = list(&[&[("a", Value::from("1")), ("b", Value::from(""))], &[]]);
        assert_eq!(Targets::decode_value(&targets).unwrap().encode_value(), targets);
        assert_eq!(Targets::type_name(), "list(map(string))");
    }

    #[test]
    fn equal_targets_are_in_memory_once() {
        let of = |value: &str| Targets::decode_value(&list(&[&[("a", Value::from(value))]])).unwrap();
        let (before, same, other) = (of("1"), of("1"), of("2"));
        assert!(before == same && before != other);
        let rows = before.rows(None);
        assert!(!same.rows(None).is_shared_with(&rows));
        assert!(same.rows(Some(&rows)).is_shared_with(&rows));
        assert!(same.rows(None).is_shared_with(&rows), "what is held is let go of");
        assert!(!other.rows(Some(&rows)).is_shared_with(&rows));
    }
}
