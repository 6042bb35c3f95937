//! Alloy's configuration language: parse, format, evaluate, decode.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use alloy_syntax::ast::{Body, File, Statement};
use alloy_syntax::{
    Diagnostic, Diagnostics, Environment, Scope, StdlibOptions, format_expression, format_file, parse_expression,
    parse_file, parse_file_bytes,
};

use places::Places;

mod decode;
mod outline;
mod places;

/// Most bytes of an input; of a longer one nothing is asked. No rule of the language needs a longer text to be broken.
pub const MAX_INPUT: usize = 64 << 10;

/// What does not hold, and for which text.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// Bytes that are no text became a tree.
    #[error("it is not UTF-8, and was parsed all the same")]
    NotText,
    /// What came of formatting is refused.
    #[error("formatted, it does not parse:\n{errors}\n--- formatted\n{formatted}")]
    NoLongerParses {
        /// The formatted text.
        formatted: String,
        /// Why it is refused.
        errors: Diagnostics,
    },
    /// What came of formatting is another tree, or has other comments.
    #[error("formatted, it says something else at `{before}`, which became `{after}`\n--- formatted\n{formatted}")]
    OtherMeaning {
        /// The first piece of the tree that differs.
        before: String,
        /// What stands there instead.
        after: String,
        /// The formatted text.
        formatted: String,
    },
    /// Formatting what was formatted changes it.
    #[error("formatting again changes it\n--- once\n{once}\n--- twice\n{twice}")]
    Unstable {
        /// The text, formatted.
        once: String,
        /// That text, formatted.
        twice: String,
    },
    /// A diagnostic names a place that is not in the text.
    #[error("`{diagnostic}` points at no place of the text: {place:?}")]
    NoSuchPlace {
        /// What is said.
        diagnostic: Box<Diagnostic>,
        /// Where.
        place: alloy_syntax::Position,
    },
}

/// Whether everything holds that must hold for any input. A panic is a failure too, and comes through.
///
/// Reads neither the process' environment nor files.
///
/// # Errors
/// The first thing that does not hold.
pub fn check(input: &[u8]) -> Result<(), Broken> {
    if input.len() > MAX_INPUT {
        return Ok(());
    }
    let Ok(text) = std::str::from_utf8(input) else {
        return match parse_file_bytes("input", input) {
            Ok(_) => Err(Broken::NotText),
            Err(errors) => Places::of(input).check_all(&errors),
        };
    };
    let places = Places::of(input);
    match parse_file("input", text) {
        Ok(file) => {
            formatting_keeps_file(&file)?;
            evaluate_body(&file.body, &places)?;
            decode::file(&file, &SCOPE, &places)?;
        }
        Err(errors) => places.check_all(&errors)?,
    }
    match parse_expression("input", text) {
        Ok(expression) => formatting_keeps_expression(&expression),
        Err(errors) => places.check_all(&errors),
    }
}

/// The standard library whole, in an environment without a variable.
static SCOPE: LazyLock<Scope> = LazyLock::new(|| {
    Scope::stdlib(&StdlibOptions {
        experimental: true,
        environment: Environment::Fixed(BTreeMap::new()),
        ..StdlibOptions::default()
    })
});

fn formatting_keeps_file(file: &File) -> Result<(), Broken> {
    let once = format_file(file);
    let again = match parse_file("formatted", &once) {
        Ok(again) => again,
        Err(errors) => return Err(Broken::NoLongerParses { formatted: once, errors }),
    };
    same(&outline::file(file), &outline::file(&again), &once)?;
    stable(once, format_file(&again))
}

fn formatting_keeps_expression(expression: &alloy_syntax::ast::Expr) -> Result<(), Broken> {
    let once = format_expression(expression);
    let again = match parse_expression("formatted", &once) {
        Ok(again) => again,
        Err(errors) => return Err(Broken::NoLongerParses { formatted: once, errors }),
    };
    same(&outline::expression(expression), &outline::expression(&again), &once)?;
    stable(once, format_expression(&again))
}

fn same(before: &[String], after: &[String], formatted: &str) -> Result<(), Broken> {
    if before == after {
        return Ok(());
    }
    let at = before.iter().zip(after).take_while(|(before, after)| before == after).count();
    let piece = |outline: &[String]| outline.get(at).map_or("the end", |piece| piece.trim_start()).to_owned();
    Err(Broken::OtherMeaning { before: piece(before), after: piece(after), formatted: formatted.to_owned() })
}

fn stable(once: String, twice: String) -> Result<(), Broken> {
    if once == twice { Ok(()) } else { Err(Broken::Unstable { once, twice }) }
}

fn evaluate_body(body: &Body, places: &Places<'_>) -> Result<(), Broken> {
    for statement in &body.statements {
        match statement {
            Statement::Block(block) => evaluate_body(&block.body, places)?,
            Statement::Attribute(attribute) => {
                match attribute.value.evaluate(&SCOPE) {
                    // Shown, as an error message would.
                    Ok(value) => drop(format!("{value:?}")),
                    Err(error) => places.check(&error)?,
                }
                decode::expression(&attribute.value, &SCOPE, places)?;
            }
        }
    }
    Ok(())
}
