//! The `rule` block of all that relabels, and the rules as other components may refer to them.

use std::sync::Arc;

use alloy_syntax::{Arguments, CapsuleValue, Invalid, TextValue};
use flamegate_relabel::{Action, Rule, RuleError, RuleSet};

/// A rule as written.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = RuleArguments::validate)]
pub(super) struct RuleArguments {
    /// The labels whose values are joined.
    #[alloy(attr, optional)]
    source_labels: Vec<String>,
    /// Stands between the joined values.
    #[alloy(attr, default = ";".to_owned())]
    separator: String,
    /// Matched against the whole of the joined values, or of label names.
    #[alloy(attr, default = "(.*)".to_owned())]
    regex: String,
    /// For `hashmod`.
    #[alloy(attr, optional)]
    modulus: u64,
    /// The label to write, or to compare with.
    #[alloy(attr, optional)]
    target_label: String,
    /// The new value, or for `labelmap` the new name.
    #[alloy(attr, default = "$1".to_owned())]
    replacement: String,
    /// What the rule does.
    #[alloy(attr, default = RuleAction(Action::Replace))]
    action: RuleAction,
}

/// One of the eleven actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RuleAction(Action);

impl TextValue for RuleAction {
    fn parse_text(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: flamegate_relabel::UnknownAction| error.to_string())
    }

    fn to_text(&self) -> String {
        self.0.name().to_owned()
    }
}

impl RuleArguments {
    fn rule(&self) -> Rule {
        Rule {
            source_labels: self.source_labels.clone(),
            separator: self.separator.clone(),
            regex: self.regex.clone(),
            modulus: self.modulus,
            target_label: self.target_label.clone(),
            replacement: self.replacement.clone(),
            action: self.action.0,
        }
    }

    /// The same check that the filter makes in the sandbox, made here for the sake of the place in the file.
    fn validate(&self) -> Result<(), Invalid> {
        let compiled = RuleSet::compile(vec![self.rule()]);
        compiled.map(drop).map_err(|error| Invalid::attribute(error.field, error.message))
    }
}

/// The rules of a component, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules(Arc<[Rule]>);

impl Rules {
    /// The rules of these blocks.
    pub(super) fn new(blocks: &[RuleArguments]) -> Self {
        Self(blocks.iter().map(RuleArguments::rule).collect())
    }

    /// The rules, ready to be applied.
    ///
    /// # Errors
    /// Rules that take too much memory together; each on its own was checked when it was decoded.
    pub(super) fn compile(&self) -> Result<RuleSet, RuleError> {
        RuleSet::compile(self.0.to_vec())
    }

    /// What the filter is configured with.
    pub(super) fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&*self.0)
    }
}

impl CapsuleValue for Rules {
    fn type_name(&self) -> &str {
        "relabel.Rules"
    }

    fn equals(&self, other: &dyn CapsuleValue) -> bool {
        let other: &dyn std::any::Any = other;
        other.downcast_ref::<Self>().is_some_and(|other| self == other)
    }
}
