use std::collections::BTreeMap;

use alloy_syntax::ast::Expr;
use alloy_syntax::{DecodeValue, Diagnostic, GoDuration, OptionalSecret, Scope, Secret, Value, parse_expression};
use serde_json::{Value as Json, json};

use super::values::{optional_secret_to_json, scope, secret_to_json, to_json};
use super::{check, load, same, text};

#[test]
fn every_case() {
    let (cases, file) = load("syntax_decode.json");
    let scope = scope(&file);
    check(&cases, |case| {
        let expression = parse_expression("", text(case, "input")).map_err(|errors| errors.to_string())?;
        match decode(text(case, "target"), &expression, &scope) {
            Ok(got) if case["result_nanos"].is_number() => same(&got, &case["result_nanos"]),
            Ok(got) if case["error"].is_null() => same(got, with_numbers(&case["result"])),
            Ok(got) => Err(format!("{got}, want {}", case["error"])),
            Err(error) => same(error.to_string().as_str(), case["error"].as_str().unwrap_or_default()),
        }
    });
}

fn decode(target: &str, expression: &Expr, scope: &Scope) -> Result<Json, Diagnostic> {
    fn run<T: DecodeValue>(expression: &Expr, scope: &Scope, show: fn(T) -> Json) -> Result<Json, Diagnostic> {
        expression.decode(scope).map(show)
    }
    let run_int = |show: Result<i64, Diagnostic>| show.map(|number| to_json(&Value::Int(number)));
    match target {
        "bool" => run(expression, scope, |value: bool| json!({"type": "bool", "value": value})),
        "int8" => run_int(expression.decode::<i8>(scope).map(i64::from)),
        "int16" => run_int(expression.decode::<i16>(scope).map(i64::from)),
        "int32" => run_int(expression.decode::<i32>(scope).map(i64::from)),
        "int" | "int64" => run_int(expression.decode(scope)),
        "uint8" => run(expression, scope, |number: u8| to_json(&Value::Uint(number.into()))),
        "uint16" => run(expression, scope, |number: u16| to_json(&Value::Uint(number.into()))),
        "uint32" => run(expression, scope, |number: u32| to_json(&Value::Uint(number.into()))),
        "uint" | "uint64" => run(expression, scope, |number: u64| to_json(&Value::Uint(number))),
        "float32" => run(expression, scope, |number: f32| to_json(&Value::Float(number.into()))),
        "float64" => run(expression, scope, |number: f64| to_json(&Value::Float(number))),
        "string" => run(expression, scope, string),
        "*string" => run(expression, scope, |value: Option<String>| value.map_or_else(null, string)),
        "duration" => run(expression, scope, |duration: GoDuration| json!(duration.nanoseconds)),
        "secret" => run(expression, scope, |secret: Secret| secret_to_json(&secret)),
        "optional_secret" => run(expression, scope, |secret: OptionalSecret| optional_secret_to_json(&secret)),
        "[]string" => run(expression, scope, |list: Option<Vec<String>>| list.map_or_else(null, strings)),
        "[]int" => run(expression, scope, |list: Option<Vec<i64>>| list.map_or_else(null, integers)),
        // A map without a value is null to the reference, not empty.
        "map[string]string" => {
            run(expression, scope, |map: Option<BTreeMap<String, String>>| map.map_or_else(null, string_map))
        }
        "map[string]int" => {
            run(expression, scope, |map: Option<BTreeMap<String, i64>>| map.map_or_else(null, integer_map))
        }
        other => panic!("the target {other} is not known"),
    }
}

fn null() -> Json {
    to_json(&Value::Null)
}

fn string(text: String) -> Json {
    to_json(&Value::from(text))
}

fn strings(list: Vec<String>) -> Json {
    to_json(&Value::array(list.into_iter().map(Value::from)))
}

fn integers(list: Vec<i64>) -> Json {
    to_json(&Value::array(list.into_iter().map(Value::Int)))
}

fn string_map(map: BTreeMap<String, String>) -> Json {
    to_json(&Value::object(map.into_iter().map(|(name, text)| (name, Value::from(text)))))
}

fn integer_map(map: BTreeMap<String, i64>) -> Json {
    to_json(&Value::object(map.into_iter().map(|(name, number)| (name, Value::Int(number)))))
}

/// The cases write floats as text.
fn with_numbers(result: &Json) -> Json {
    if result["type"] == "float" {
        return json!({"type": "float", "value": text(result, "value").parse::<f64>().unwrap()});
    }
    result.clone()
}
