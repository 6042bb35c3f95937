//! Alloy's configuration language: scan, parse, format, evaluate, decode.
//!
//! [`parse_file`] makes a tree of a text, [`Expr::evaluate`](ast::Expr::evaluate) a [`Value`] of an
//! expression in a [`Scope`], and [`decode_block`] a struct with `#[derive(Arguments)]` of a block, which
//! [`Arguments::encode_body`] turns into values again and [`json`] shows. [`check_block`] decodes as far as it can
//! be told while not every value is known. The crate knows no component: their names and their exports come in through the scope.
//!
//! ```
//! use std::time::Duration;
//! use alloy_syntax::{Arguments, Scope, StdlibOptions, decode_block, parse_file};
//!
//! /// Where to send.
//! #[derive(Debug, Arguments)]
//! struct Endpoint {
//!     /// Its URL.
//!     #[alloy(attr)]
//!     url: String,
//!     /// How long to wait.
//!     #[alloy(attr, default = Duration::from_secs(10))]
//!     timeout: Duration,
//! }
//!
//! let file = parse_file("config.alloy", "endpoint {\n\turl = \"http://\" + constants.hostname\n}\n")?;
//! let scope = Scope::stdlib(&StdlibOptions::default());
//! for block in file.body.blocks() {
//!     let endpoint: Endpoint = decode_block(block, &scope)?;
//!     assert_eq!(endpoint.timeout, Duration::from_secs(10));
//! }
//! # Ok::<(), alloy_syntax::Diagnostics>(())
//! ```

// The derive macro names this crate by its name, in this crate's tests too.
extern crate self as alloy_syntax;

pub mod ast;
pub mod decode;
mod diagnostic;
pub mod encode;
mod evaluate;
mod format;
mod identifier;
pub mod json;
mod parser;
mod position;
mod quote;
mod scanner;
pub mod schema;
mod scope;
pub mod stdlib;
mod suggest;
mod token;
mod value;

pub use alloy_syntax_derive::{Arguments, DecodeValue};
pub use decode::{
    Arguments, Checked, DecodeError, DecodeValue, Decoded, GoDuration, Invalid, TextValue, check_block, decode_block,
    decode_block_with_warnings, decode_capsule, decode_file,
};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use encode::EncodedStatement;
pub use format::{format_expression, format_file, format_source};
pub use identifier::{is_valid_identifier, sanitize_identifier};
pub use parser::{parse_expression, parse_file, parse_file_bytes};
pub use position::{Position, Span};
pub use quote::quote;
pub use scanner::{ScanError, Scanner};
pub use schema::Schema;
pub use scope::Scope;
pub use stdlib::{Environment, StdlibOptions};
pub use suggest::did_you_mean;
pub use token::{Token, TokenKind};
pub use value::{CallError, Capsule, CapsuleValue, Function, OptionalSecret, Secret, Value};
