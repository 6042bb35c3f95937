//! Functions on arrays.

use std::collections::BTreeMap;

use super::{Body, Named};
use crate::decode::DecodeError;
use crate::evaluate::Traced;
use crate::value::{CallArguments, CallError, Value};

pub(super) const FUNCTIONS: &[Named] = &[
    ("concat", Body::Tracing(concat)),
    ("combine_maps", Body::Tracing(combine_maps)),
    ("group_by", Body::Tracing(group_by)),
];

/// Most objects that `combine_maps` makes: there may be as many as the product of what it is given.
const MAX_COMBINED: usize = 100_000;

type Fields<'e> = Vec<(String, Traced<'e>)>;

fn concat<'e>(arguments: &CallArguments<'_, 'e>) -> Result<Traced<'e>, CallError> {
    let mut all = Vec::new();
    for index in 0..arguments.len() {
        all.extend(array(arguments, index)?);
    }
    Ok(Traced::array(all))
}

/// Joins the objects of two arrays, each with each, where all the keys are equal.
fn combine_maps<'e>(arguments: &CallArguments<'_, 'e>) -> Result<Traced<'e>, CallError> {
    if !(3..=4).contains(&arguments.len()) {
        let message = format!("combine_maps: expected 3 or 4 arguments, got {}", arguments.len());
        return Err(CallError::Call(message));
    }
    let (left, right) = (objects(arguments, 0)?, objects(arguments, 1)?);
    let keys = keys(arguments)?;
    let pass_unmatched: bool = arguments.decode(3)?;

    let mut combined = Vec::new();
    for left in &left {
        for right in &right {
            if keys.iter().all(|key| same_kind_and_equal(field(left, key), field(right, key))) {
                combined.push(Traced::object(merge(left, right)));
            } else if pass_unmatched {
                combined.push(Traced::object(left.clone()));
            }
            if combined.len() > MAX_COMBINED {
                let message =
                    format!("combine_maps: makes more than {MAX_COMBINED} objects: give it fewer, or more keys");
                return Err(CallError::Call(message));
            }
        }
    }
    Ok(Traced::array(combined))
}

fn keys(arguments: &CallArguments<'_, '_>) -> Result<Vec<String>, CallError> {
    let wrong = |error| CallError::Argument { index: 2, error };
    let keys = array(arguments, 2)?;
    if keys.is_empty() {
        return Err(wrong(DecodeError::new("combine_maps: merge conditions must not be empty")));
    }
    keys.iter()
        .enumerate()
        .map(|(at, key)| match key.value.as_str() {
            Some(key) => Ok(key.to_owned()),
            None => Err(wrong(DecodeError::expected("string", &key.value).in_element(at))),
        })
        .collect()
}

/// The fields of both; of two with one name, that of the right.
fn merge<'e>(left: &Fields<'e>, right: &Fields<'e>) -> Fields<'e> {
    left.iter().chain(right).cloned().collect::<BTreeMap<_, _>>().into_iter().collect()
}

/// Unlike the language's `==`, this tells `1` from `1.0`.
fn same_kind_and_equal(left: Option<&Value>, right: Option<&Value>) -> bool {
    let (Some(left), Some(right)) = (left, right) else {
        return false;
    };
    std::mem::discriminant(left) == std::mem::discriminant(right) && left == right
}

/// Collects objects by the string that they have in a field.
fn group_by<'e>(arguments: &CallArguments<'_, 'e>) -> Result<Traced<'e>, CallError> {
    if arguments.len() != 3 {
        let message = format!("group_by: expected 3 arguments, got {}", arguments.len());
        return Err(CallError::Call(message));
    }
    let elements = array(arguments, 0)?;
    let key = match arguments.value(1) {
        Value::String(key) => key.to_string(),
        other => return Err(CallError::Argument { index: 1, error: DecodeError::expected("string", other) }),
    };
    let drop_missing = match arguments.value(2) {
        Value::Bool(drop_missing) => *drop_missing,
        other => return Err(CallError::Argument { index: 2, error: DecodeError::expected("bool", other) }),
    };

    // In the order in which each group was met first.
    let mut groups: Vec<(String, Vec<Traced<'e>>)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (at, element) in elements.into_iter().enumerate() {
        let wrong = |error: DecodeError| CallError::Argument { index: 0, error: error.in_element(at) };
        let fields = element.value.fields().ok_or_else(|| wrong(DecodeError::expected("object", &element.value)))?;
        let group = match fields.get(&key) {
            Some(Value::String(group)) => group.to_string(),
            Some(other) => return Err(wrong(DecodeError::expected("string", other).in_field(&key))),
            None if drop_missing => continue,
            None => String::new(),
        };
        let place = *places.entry(group.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, items)) => items.push(element),
            None => groups.push((group, vec![element])),
        }
    }
    let groups = groups.into_iter().map(|(group, items)| {
        let name = Traced::untraced(Value::from(group));
        Traced::object(vec![(key.clone(), name), ("items".to_owned(), Traced::array(items))])
    });
    Ok(Traced::array(groups.collect()))
}

fn array<'e>(arguments: &CallArguments<'_, 'e>, index: usize) -> Result<Vec<Traced<'e>>, CallError> {
    let elements = arguments.traced().nth(index).and_then(Traced::elements);
    elements.ok_or_else(|| CallError::Argument { index, error: DecodeError::expected("array", arguments.value(index)) })
}

fn objects<'e>(arguments: &CallArguments<'_, 'e>, index: usize) -> Result<Vec<Fields<'e>>, CallError> {
    let elements = array(arguments, index)?;
    elements
        .iter()
        .enumerate()
        .map(|(at, element)| {
            element.fields().ok_or_else(|| CallError::Argument {
                index,
                error: DecodeError::expected("object", &element.value).in_element(at),
            })
        })
        .collect()
}

fn field<'f>(fields: &'f Fields<'_>, name: &str) -> Option<&'f Value> {
    fields.iter().find(|(field, _)| field == name).map(|(_, field)| &field.value)
}
