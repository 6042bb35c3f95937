//! Decodes whatever parses into every kind of type: refused or not, nothing panics and every complaint has its place.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy_syntax::ast::{Expr, File};
use alloy_syntax::{
    Arguments, DecodeValue, Decoded, Diagnostics, GoDuration, Invalid, OptionalSecret, Scope, Secret, TextValue, Value,
    decode_block_with_warnings, decode_file,
};

use super::{Broken, places::Places};

/// Blocks at every depth, and the file as one.
pub(super) fn file(file: &File, scope: &Scope, places: &Places<'_>) -> Result<(), Broken> {
    check(decode_file::<Everything>(file, scope), places)?;
    for block in file.body.blocks() {
        check(decode_block_with_warnings::<Everything>(block, scope), places)?;
    }
    Ok(())
}

/// One expression as each type that an attribute may have.
pub(super) fn expression(expression: &Expr, scope: &Scope, places: &Places<'_>) -> Result<(), Broken> {
    fn one<T: DecodeValue>(expression: &Expr, scope: &Scope, places: &Places<'_>) -> Result<(), Broken> {
        expression.decode::<T>(scope).map_or_else(
            |error| places.check(&error),
            |value| {
                drop(value);
                Ok(())
            },
        )
    }
    for decode in [
        one::<bool>,
        one::<u8>,
        one::<i64>,
        one::<u64>,
        one::<f64>,
        one::<String>,
        one::<Duration>,
        one::<GoDuration>,
        one::<Secret>,
        one::<OptionalSecret>,
        one::<Option<Shade>>,
        one::<Vec<String>>,
        one::<Vec<Target>>,
        one::<BTreeMap<String, Value>>,
    ] {
        decode(expression, scope, places)?;
    }
    Ok(())
}

fn check<T>(result: Result<Decoded<T>, Diagnostics>, places: &Places<'_>) -> Result<(), Broken> {
    match result {
        Ok(decoded) => places.check_all(&decoded.warnings),
        Err(errors) => places.check_all(&errors),
    }
}

/// One field of each kind. The names are short so that they are soon hit upon.
#[derive(Arguments)]
#[alloy(validate = Everything::validate, unsupported("u", "r.u"), ignored("i"))]
struct Everything {
    #[alloy(attr)]
    a: Value,
    #[alloy(attr, default = 1)]
    b: u16,
    #[alloy(attr, optional)]
    targets: Vec<Target>,
    #[alloy(attr, optional)]
    labels: BTreeMap<String, String>,
    #[alloy(block, optional)]
    c: Option<Inner>,
    #[alloy(block, optional)]
    rule: Vec<Inner>,
    #[alloy(block, optional, name = "e.f")]
    by_label: BTreeMap<String, Inner>,
}

impl Everything {
    fn validate(&self) -> Result<(), Invalid> {
        if self.b == 0 {
            return Err(Invalid::attribute("b", "must not be 0"));
        }
        let inner = self.c.iter().chain(&self.rule).chain(self.by_label.values());
        if inner.count() + self.targets.len() + self.labels.len() > 3 || self.a.is_null() {
            return Err(Invalid::block("too much or too little"));
        }
        Ok(())
    }
}

#[derive(Arguments)]
#[alloy(validate = Inner::validate)]
struct Inner {
    #[alloy(label)]
    label: String,
    #[alloy(attr, optional)]
    shade: Option<Shade>,
    #[alloy(attr, default = Duration::from_secs(1))]
    wait: Duration,
    #[alloy(attr, optional)]
    secret: Option<Secret>,
}

impl Inner {
    fn validate(&self) -> Result<(), Invalid> {
        if self.wait.is_zero() && self.secret.is_none() && self.shade.is_none() {
            return Err(Invalid::attribute("wait", format!("of {} must be longer than 0s", self.label)));
        }
        Ok(())
    }
}

#[derive(DecodeValue)]
struct Target {
    #[alloy(attr)]
    a: String,
    #[alloy(attr, optional)]
    b: Option<f32>,
}

/// A type that is written as a word.
enum Shade {
    Light,
    Dark,
}

impl TextValue for Shade {
    fn parse_text(text: &str) -> Result<Self, String> {
        match text {
            "light" => Ok(Self::Light),
            "dark" => Ok(Self::Dark),
            _ => Err("must be \"light\" or \"dark\"".to_owned()),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
        .to_owned()
    }
}
