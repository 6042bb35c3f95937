//! Which piece of the text made which part of a value, so that an error about a part is shown at its place.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::ast::Expr;
use crate::decode::Step;
use crate::value::Value;

/// A value and where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Traced<'e> {
    pub(crate) value: Value,
    pub(crate) trace: Trace<'e>,
}

/// Where a value comes from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trace<'e> {
    /// The expression whose value it is; a `null` has none.
    pub(crate) source: Option<&'e Expr>,
    parts: Parts<'e>,
}

#[derive(Debug, Clone, Default)]
enum Parts<'e> {
    #[default]
    Unknown,
    Elements(Rc<[Trace<'e>]>),
    Fields(Rc<BTreeMap<String, Trace<'e>>>),
}

impl<'e> Traced<'e> {
    /// A value of which nothing is known.
    pub(crate) fn untraced(value: Value) -> Self {
        Self { value, trace: Trace::default() }
    }

    pub(crate) fn unknown() -> Self {
        Self::untraced(Value::unknown())
    }

    pub(crate) fn array(elements: Vec<Traced<'e>>) -> Self {
        let traces = elements.iter().map(|element| element.trace.clone()).collect();
        let value = Value::array(elements.into_iter().map(|element| element.value));
        Self { value, trace: Trace { source: None, parts: Parts::Elements(traces) } }
    }

    pub(crate) fn object(fields: Vec<(String, Traced<'e>)>) -> Self {
        let traces = fields.iter().map(|(name, field)| (name.clone(), field.trace.clone())).collect();
        let value = Value::object(fields.into_iter().map(|(name, field)| (name, field.value)));
        Self { value, trace: Trace { source: None, parts: Parts::Fields(Rc::new(traces)) } }
    }

    pub(crate) fn set_source(&mut self, source: &'e Expr) {
        self.trace.source = if self.value.is_null() { None } else { Some(source) };
    }

    /// An element of this array.
    pub(crate) fn element(&self, index: usize, value: Value) -> Self {
        Self { value, trace: self.trace.part(&Step::Element(index)) }
    }

    /// A field of this object.
    pub(crate) fn field(&self, name: &str, value: Value) -> Self {
        Self { value, trace: self.trace.part(&Step::Field(name.to_owned())) }
    }

    /// The elements, if this is an array.
    pub(crate) fn elements(&self) -> Option<Vec<Self>> {
        let elements = self.value.elements()?;
        Some(elements.iter().enumerate().map(|(index, value)| self.element(index, value.clone())).collect())
    }

    /// The fields, if this is an object.
    pub(crate) fn fields(&self) -> Option<Vec<(String, Self)>> {
        let fields = self.value.fields()?;
        Some(fields.iter().map(|(name, value)| (name.clone(), self.field(name, value.clone()))).collect())
    }
}

impl<'e> Trace<'e> {
    pub(crate) fn part(&self, step: &Step) -> Self {
        let part = match (&self.parts, step) {
            (Parts::Elements(elements), Step::Element(index)) => elements.get(*index),
            (Parts::Fields(fields), Step::Field(name)) => fields.get(name),
            _ => None,
        };
        part.cloned().unwrap_or_default()
    }
}
