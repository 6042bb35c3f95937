//! The commands beside `run`, as a person or a CI job calls them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

#[path = "commands/components.rs"]
mod components;
#[path = "commands/conformance.rs"]
mod conformance;
#[path = "commands/convert.rs"]
mod convert;
#[path = "commands/filter.rs"]
mod filter;
#[path = "commands/fmt.rs"]
mod fmt;
#[path = "commands/validate.rs"]
mod validate;
