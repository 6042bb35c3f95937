//! What operators do.

use std::cmp::Ordering;

use super::secrets::unwrap_pair;
use super::{Fault, Traced};
use crate::token::TokenKind;
use crate::value::number::{Number, Pair};
use crate::value::{OptionalSecret, Secret, Value};

pub(super) fn unary<'e>(operator: TokenKind, operand: &Traced<'e>) -> Result<Value, Fault<'e>> {
    let wrong =
        |expected: &str| Fault::of(&operand.trace, format!("should be {expected}, got {}", operand.value.kind()));
    if operator == TokenKind::Not {
        return operand.value.as_bool().map(|value| Value::Bool(!value)).ok_or_else(|| wrong("bool"));
    }
    match Number::of(&operand.value).ok_or_else(|| wrong("number"))? {
        Number::Int(number) => Ok(Value::Int(number.wrapping_neg())),
        Number::Uint(number) => Ok(Value::Int(Number::Uint(number).to_int().wrapping_neg())),
        Number::Float(number) => Ok(Value::Float(-number)),
    }
}

/// Both sides are always evaluated, those of `&&` and `||` too.
pub(super) fn binary<'e>(left: &Traced<'e>, operator: TokenKind, right: &Traced<'e>) -> Result<Value, Fault<'e>> {
    let (left_value, right_value) = unwrap_pair(&left.value, &right.value);
    match operator {
        TokenKind::Equal => return Ok(Value::Bool(left_value == right_value)),
        TokenKind::NotEqual => return Ok(Value::Bool(left_value != right_value)),
        _ => {}
    }
    let allowed = operand_kinds(operator);
    for (value, side) in [(&left_value, left), (&right_value, right)] {
        if !allowed.contains(&value.kind()) {
            let kinds = allowed.join(" ");
            let message = format!("should be one of [{kinds}] for binop {operator}, got {}", value.kind());
            return Err(Fault::of(&side.trace, message));
        }
    }
    if left_value.kind() != right_value.kind() {
        let message = format!("should be {}, got {}", left_value.kind(), right_value.kind());
        return Err(Fault::of(&right.trace, message));
    }

    match (&left_value, &right_value) {
        (Value::Bool(a), Value::Bool(b)) => {
            Ok(Value::Bool(if operator == TokenKind::Or { *a || *b } else { *a && *b }))
        }
        (Value::Capsule(_), _) => add_capsules(&left_value, &right_value).ok_or_else(|| {
            let message = "could not perform binop + for unknown types lhs capsule rhs capsule";
            Fault::of(&left.trace, message)
        }),
        _ => match (Number::of(&left_value), Number::of(&right_value)) {
            (Some(a), Some(b)) => {
                numbers(a, operator, b).ok_or_else(|| Fault::of(&right.trace, "divide by zero error"))
            }
            _ => Ok(strings(&left_value, operator, &right_value)),
        },
    }
}

fn operand_kinds(operator: TokenKind) -> &'static [&'static str] {
    match operator {
        TokenKind::Or | TokenKind::And => &["bool"],
        TokenKind::Add => &["number", "string", "capsule"],
        TokenKind::Less | TokenKind::LessOrEqual | TokenKind::Greater | TokenKind::GreaterOrEqual => {
            &["number", "string"]
        }
        _ => &["number"],
    }
}

fn strings(left: &Value, operator: TokenKind, right: &Value) -> Value {
    let (left, right) = (left.text_bytes().unwrap_or_default(), right.text_bytes().unwrap_or_default());
    if operator == TokenKind::Add {
        return Value::text([left, right].concat());
    }
    Value::Bool(holds(operator, Some(left.cmp(right))))
}

fn holds(operator: TokenKind, order: Option<Ordering>) -> bool {
    // A NaN has no order: nothing holds.
    order.is_some_and(|order| match operator {
        TokenKind::Less => order.is_lt(),
        TokenKind::LessOrEqual => order.is_le(),
        TokenKind::Greater => order.is_gt(),
        _ => order.is_ge(),
    })
}

/// `None` for a division by zero. What does not fit wraps around.
fn numbers(left: Number, operator: TokenKind, right: Number) -> Option<Value> {
    if matches!(operator, TokenKind::Div | TokenKind::Mod) && right.is_zero() {
        return None;
    }
    let pair = left.pair(right);
    let value = match (operator, &pair) {
        (TokenKind::Add, Pair::Uint(a, b)) => Value::Uint(a.wrapping_add(*b)),
        (TokenKind::Add, Pair::Int(a, b)) => Value::Int(a.wrapping_add(*b)),
        (TokenKind::Add, Pair::Float(a, b)) => Value::Float(a + b),
        (TokenKind::Sub, Pair::Uint(a, b)) => Value::Uint(a.wrapping_sub(*b)),
        (TokenKind::Sub, Pair::Int(a, b)) => Value::Int(a.wrapping_sub(*b)),
        (TokenKind::Sub, Pair::Float(a, b)) => Value::Float(a - b),
        (TokenKind::Mul, Pair::Uint(a, b)) => Value::Uint(a.wrapping_mul(*b)),
        (TokenKind::Mul, Pair::Int(a, b)) => Value::Int(a.wrapping_mul(*b)),
        (TokenKind::Mul, Pair::Float(a, b)) => Value::Float(a * b),
        (TokenKind::Div, Pair::Uint(a, b)) => Value::Uint(a.checked_div(*b)?),
        (TokenKind::Div, Pair::Int(0.., 0)) => return None,
        (TokenKind::Div, Pair::Int(a, b)) if *b != 0 => Value::Int(a.wrapping_div(*b)),
        (TokenKind::Div, Pair::Float(a, b)) => Value::Float(a / b),
        (TokenKind::Mod, Pair::Uint(a, b)) => Value::Uint(a.checked_rem(*b)?),
        (TokenKind::Mod, Pair::Int(a, b)) if *b != 0 => Value::Int(a.wrapping_rem(*b)),
        (TokenKind::Mod, Pair::Float(a, b)) => Value::Float(a % b),
        (TokenKind::Pow, Pair::Uint(a, b)) => Value::Uint(power(*a, *b)),
        (TokenKind::Pow, Pair::Int(a, b)) => Value::Int(signed_power(*a, *b)),
        (TokenKind::Pow, Pair::Float(a, b)) => Value::Float(a.powf(*b)),
        (TokenKind::Div | TokenKind::Mod, Pair::Int(..)) => return None,
        _ => Value::Bool(holds(operator, pair.compare())),
    };
    Some(value)
}

/// By repeated squaring modulo 2^64, which is what multiplying step by step comes to.
fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut result: u64 = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent >>= 1;
    }
    result
}

/// A negative exponent gives the base, except of 1: the reference multiplies in a loop that it never enters.
#[allow(clippy::cast_sign_loss, clippy::cast_possible_wrap, reason = "multiplication wraps alike in both")]
fn signed_power(base: i64, exponent: i64) -> i64 {
    match u64::try_from(exponent) {
        Ok(exponent) => power(base as u64, exponent) as i64,
        Err(_) => base,
    }
}

fn add_capsules(left: &Value, right: &Value) -> Option<Value> {
    let (Value::Capsule(left), Value::Capsule(right)) = (left, right) else {
        return None;
    };
    if let (Some(a), Some(b)) = (left.downcast_ref::<Secret>(), right.downcast_ref::<Secret>()) {
        return Some(Secret::new([a.expose(), b.expose()].concat()).into());
    }
    let (a, b) = (left.downcast_ref::<OptionalSecret>()?, right.downcast_ref::<OptionalSecret>()?);
    let text = [a.expose(), b.expose()].concat();
    let sum = if a.is_secret() || b.is_secret() { OptionalSecret::secret(text) } else { OptionalSecret::plain(text) };
    Some(sum.into())
}
