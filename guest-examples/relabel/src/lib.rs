//! The rules of `pyroscope.relabel`: eleven actions on the labels of a series, as Prometheus defines them.
//!
//! ```
//! use flamegate_relabel::{Action, Rule, RuleSet, Verdict};
//!
//! let rule = Rule { action: Action::Drop, source_labels: vec!["env".into()], regex: "dev|test".into(), ..Rule::default() };
//! let rules = RuleSet::compile(vec![rule])?;
//! assert_eq!(rules.apply(&[("env", "dev")]), Verdict::Drop("drop"));
//! # Ok::<(), flamegate_relabel::RuleError>(())
//! ```
//!
//! Built for `wasm32` the crate is also the filter itself, a component of the world `labels-filter`.

#[cfg(target_arch = "wasm32")]
mod component;
pub mod go_regex;
mod rules;

pub use rules::{Action, Change, Label, Rule, RuleError, RuleSet, UnknownAction, Verdict};
