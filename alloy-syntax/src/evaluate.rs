//! Turns expressions into values.

use crate::ast::{Expr, ExprKind, Field, Ident};
use crate::decode::{DecodeValue, Step};
use crate::diagnostic::Diagnostic;
use crate::scope::Scope;
use crate::suggest::did_you_mean;
use crate::token::TokenKind;
use crate::value::number::Number;
use crate::value::{CallError, Value};

mod fault;
mod literal;
mod operator;
mod secrets;
mod trace;

pub(crate) use fault::Fault;
pub(crate) use trace::{Trace, Traced};

impl Expr {
    /// The value of the expression.
    ///
    /// # Errors
    ///
    /// The first thing found wrong, from left to right. It has no place where a `null` is to blame, as the
    /// reference has it. What is made of an [unknown](Value::unknown) value is unknown, and no error.
    #[allow(clippy::result_large_err, reason = "an error ends the evaluation: its size is paid once")]
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, Diagnostic> {
        self.evaluate_traced(scope).map(|traced| traced.value).map_err(|fault| fault.into_diagnostic(&self.file))
    }

    /// The value of the expression as a `T`.
    ///
    /// # Errors
    ///
    /// The first thing found wrong, with its place; or that the value is [unknown](Value::unknown).
    #[allow(clippy::result_large_err, reason = "an error ends the evaluation: its size is paid once")]
    pub fn decode<T: DecodeValue>(&self, scope: &Scope) -> Result<T, Diagnostic> {
        self.decode_traced(scope).map_err(|fault| fault.into_diagnostic_at(self))
    }

    pub(crate) fn decode_traced<T: DecodeValue>(&self, scope: &Scope) -> Result<T, Fault<'_>> {
        let Traced { value, trace } = self.evaluate_traced(scope)?;
        match T::decode_value(&value) {
            // A type that takes any value takes an unknown one too.
            Ok(_) if value.holds_unknown() => Err(Fault::Unknown),
            Ok(decoded) => Ok(decoded),
            Err(error) if part(&value, error.path()).holds_unknown() => Err(Fault::Unknown),
            Err(error) => Err(Fault::decode(&trace, &error)),
        }
    }

    /// The value and which piece of the text made which part of it. Each kind of expression has a function of
    /// its own, so that a level of nesting takes little of the stack.
    pub(crate) fn evaluate_traced<'e>(&'e self, scope: &Scope) -> Result<Traced<'e>, Fault<'e>> {
        let mut traced = match &self.kind {
            ExprKind::Literal(literal) => Traced::untraced(literal::value(literal).map_err(Fault::Nowhere)?),
            ExprKind::Identifier(name) => Traced::untraced(self.look_up(name, scope)?),
            ExprKind::Array(elements) => Traced::array(evaluate_all(elements, scope)?),
            ExprKind::Object(fields) => object(fields, scope)?,
            ExprKind::Access { value, name } => access(&value.evaluate_traced(scope)?, name)?,
            ExprKind::Index { value, index, .. } => index_into(value, index, scope)?,
            ExprKind::Call { function, arguments, .. } => call(function, arguments, scope)?,
            ExprKind::Unary { operator, value } => unary(*operator, value, scope)?,
            ExprKind::Binary { left, operator, right, .. } => binary(left, *operator, right, scope)?,
            ExprKind::Paren(inner) => inner.evaluate_traced(scope)?,
        };
        traced.set_source(self);
        Ok(traced)
    }

    fn look_up(&self, name: &str, scope: &Scope) -> Result<Value, Fault<'static>> {
        scope.lookup(name).cloned().ok_or_else(|| Fault::At {
            span: self.span,
            message: format!("identifier \"{name}\" does not exist"),
            help: did_you_mean(name, scope.each_name()),
        })
    }
}

fn evaluate_all<'e>(expressions: &'e [Expr], scope: &Scope) -> Result<Vec<Traced<'e>>, Fault<'e>> {
    let mut all = Vec::with_capacity(expressions.len());
    for expression in expressions {
        all.push(expression.evaluate_traced(scope)?);
    }
    Ok(all)
}

fn object<'e>(fields: &'e [Field], scope: &Scope) -> Result<Traced<'e>, Fault<'e>> {
    let mut all = Vec::with_capacity(fields.len());
    for field in fields {
        all.push((field.name.name.clone(), field.value.evaluate_traced(scope)?));
    }
    Ok(Traced::object(all))
}

fn unary<'e>(operator: TokenKind, operand: &'e Expr, scope: &Scope) -> Result<Traced<'e>, Fault<'e>> {
    let operand = operand.evaluate_traced(scope)?;
    if operand.value.is_unknown() {
        return Ok(Traced::unknown());
    }
    operator::unary(operator, &operand).map(Traced::untraced)
}

fn binary<'e>(left: &'e Expr, operator: TokenKind, right: &'e Expr, scope: &Scope) -> Result<Traced<'e>, Fault<'e>> {
    let left = left.evaluate_traced(scope)?;
    let right = right.evaluate_traced(scope)?;
    if left.value.holds_unknown() || right.value.holds_unknown() {
        return Ok(Traced::unknown());
    }
    operator::binary(&left, operator, &right).map(Traced::untraced)
}

/// The part of a value at which an error is, as far as the way there leads through arrays and objects.
fn part(value: &Value, path: &[Step]) -> Value {
    let mut at = value.clone();
    for step in path {
        let below = match step {
            Step::Element(index) => at.elements().and_then(|elements| elements.get(*index).cloned()),
            Step::Field(name) => at.fields().and_then(|fields| fields.get(name).cloned()),
        };
        let Some(below) = below else { break };
        at = below;
    }
    at
}

fn access<'e>(object: &Traced<'e>, name: &Ident) -> Result<Traced<'e>, Fault<'e>> {
    if object.value.is_unknown() {
        return Ok(Traced::unknown());
    }
    let Some(fields) = object.value.fields() else {
        let kind = object.value.kind();
        let message = if matches!(object.value, Value::Capsule(_)) {
            format!("expected object or array or a capsule convertible to an object, got {kind}")
        } else {
            format!("cannot access field \"{}\" on value of type {kind}", name.name)
        };
        return Err(Fault::of(&object.trace, message));
    };
    match fields.get(&name.name) {
        Some(value) => Ok(object.field(&name.name, value.clone())),
        None => Err(Fault::At {
            span: name.span,
            message: format!("field \"{}\" does not exist", name.name),
            help: did_you_mean(&name.name, fields.keys().map(String::as_str)),
        }),
    }
}

fn index_into<'e>(container: &'e Expr, index: &'e Expr, scope: &Scope) -> Result<Traced<'e>, Fault<'e>> {
    let container = container.evaluate_traced(scope)?;
    let index = index.evaluate_traced(scope)?;
    part_of(&container, &index)
}

fn part_of<'e>(container: &Traced<'e>, index: &Traced<'e>) -> Result<Traced<'e>, Fault<'e>> {
    if container.value.is_unknown() || index.value.is_unknown() {
        return Ok(Traced::unknown());
    }
    if let Some(elements) = container.value.elements() {
        let number = Number::of(&index.value)
            .ok_or_else(|| Fault::of(&index.trace, format!("should be number, got {}", index.value.kind())))?;
        let at = number.to_int();
        let element = usize::try_from(at).ok().and_then(|at| Some((at, elements.get(at)?.clone())));
        return element.map(|(at, element)| container.element(at, element)).ok_or_else(|| {
            let length = elements.len();
            Fault::of(&index.trace, format!("index {at} is out of range of array with length {length}"))
        });
    }
    let Some(fields) = container.value.fields() else {
        let capsule =
            if matches!(container.value, Value::Capsule(_)) { " or a capsule convertible to an object" } else { "" };
        let message = format!("expected object or array{capsule}, got {}", container.value.kind());
        return Err(Fault::of(&container.trace, message));
    };
    if index.value.text_bytes().is_none() {
        return Err(Fault::of(&index.trace, format!("should be string, got {}", index.value.kind())));
    }
    let name = index.value.as_str().unwrap_or_default();
    Ok(match fields.get(name) {
        Some(value) if index.value.as_str().is_some() => container.field(name, value.clone()),
        _ => Traced::untraced(Value::Null),
    })
}

fn call<'e>(function: &'e Expr, arguments: &'e [Expr], scope: &Scope) -> Result<Traced<'e>, Fault<'e>> {
    let callee = function.evaluate_traced(scope)?;
    if callee.value.is_unknown() {
        return evaluate_all(arguments, scope).map(|_| Traced::unknown());
    }
    let Value::Function(body) = &callee.value else {
        return Err(Fault::of(&callee.trace, format!("should be function, got {}", callee.value.kind())));
    };
    let arguments = evaluate_all(arguments, scope)?;
    if arguments.iter().any(|argument| argument.value.holds_unknown()) {
        return Ok(Traced::unknown());
    }
    body.call_traced(&arguments).map_err(|error| match error {
        CallError::Function(message) => Fault::of(&callee.trace, message),
        CallError::Call(message) => Fault::Nowhere(message),
        CallError::Argument { index, error } => match arguments.get(index) {
            Some(argument) => Fault::decode(&argument.trace, &error),
            None => Fault::of(&callee.trace, error.to_string()),
        },
    })
}
