//! A list of rules, compiled once and applied to each label set.

mod edit;
mod letter_case;
mod rule;
mod step;
mod validate;

use crate::go_regex::GoRegex;
use edit::Edit;
pub use edit::{Change, Label};
pub use rule::{Action, Rule, UnknownAction};
use step::{Fate, Step};

/// What the regular expressions of one list may take of memory together, in bytes: half of what a filter has.
const MAX_REGEX_MEMORY: usize = 32 << 20;

/// Rules, ready to be applied.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    steps: Vec<Step>,
    warnings: Vec<String>,
}

/// What becomes of a label set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stays as it is.
    Unchanged,
    /// It stays, but for these labels.
    Change(Change),
    /// It is dropped. The reason is the action that decided, or `empty label set`.
    Drop(&'static str),
}

/// A rule that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {index}, {field}: {message}")]
pub struct RuleError {
    /// Which rule, counted from 0.
    pub index: usize,
    /// Its attribute.
    pub field: &'static str,
    /// What is wrong, in the reference's words.
    pub message: String,
}

impl RuleSet {
    /// Checks and compiles `rules`, which are applied in this order.
    ///
    /// # Errors
    /// The first rule that the reference would refuse; also regular expressions beyond the limits of
    /// [`crate::go_regex`], or of 32 MiB together.
    #[allow(clippy::needless_pass_by_value, reason = "a rule set replaces the rules that it was made from")]
    pub fn compile(rules: Vec<Rule>) -> Result<Self, RuleError> {
        let mut compiled = Self::default();
        let mut memory = 0_usize;
        for (index, rule) in rules.iter().enumerate() {
            let refused = |(field, message)| RuleError { index, field, message };
            let step = Step::compile(rule).map_err(refused)?;
            memory = memory.saturating_add(step.regex().map_or(0, GoRegex::memory_usage));
            if memory > MAX_REGEX_MEMORY {
                let message = format!(
                    "the regular expressions up to this rule may take more than {MAX_REGEX_MEMORY} bytes of memory: use \
                     fewer or smaller ones"
                );
                return Err(refused(("regex", message)));
            }
            if let Some(warning) = validate::without_effect(rule) {
                compiled.warnings.push(format!("rule {index}, target_label: {warning}"));
            }
            compiled.steps.push(step);
        }
        Ok(compiled)
    }

    /// Rules that the reference accepts although they can never do anything, in words for the user.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Applies the rules to `labels`, which must be sorted by the bytes of their names, each name once. A label with
    /// an empty value counts as missing. An empty set bypasses the rules.
    #[must_use]
    pub fn apply<L: Label>(&self, labels: &[L]) -> Verdict {
        if labels.is_empty() {
            return Verdict::Unchanged;
        }
        let mut edit = Edit::of(labels);
        let mut joined = String::new();
        for step in &self.steps {
            if let Fate::Drop(reason) = step.apply(&mut edit, &mut joined) {
                return Verdict::Drop(reason);
            }
        }
        edit.verdict()
    }
}
