//! The values and blocks within the block.

use alloy_syntax::{Arguments, Invalid, TextValue};

use crate::components::targets::Targets;
use crate::filters::{Capability, Digest, NoCapability, NoDigest, Tables};

/// A table that the filter may look up.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = TableArguments::validate)]
pub(super) struct TableArguments {
    /// By this name the filter looks up.
    #[alloy(label)]
    name: String,
    /// The rows.
    #[alloy(attr)]
    targets: Targets,
    /// The label by which a row is found.
    #[alloy(attr)]
    key: String,
}

impl TableArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if self.key.is_empty() {
            return Err(Invalid::attribute("key", "is empty: name the label by which rows are found"));
        }
        Ok(())
    }

    /// The tables of these blocks; of those before, the rows that are the same.
    pub(super) fn all(blocks: &[Self], before: Option<&Tables>) -> Result<Tables, Invalid> {
        let mut tables = Tables::default();
        for Self { name, targets, key } in blocks {
            let rows = targets.rows(before.and_then(|before| before.rows(name)));
            let added = tables.add(name, key, rows);
            added.map_err(|error| Invalid::attribute("table", error.to_string()))?;
        }
        Ok(tables)
    }
}

/// What becomes of a profile on which the filter gives no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnError {
    /// Its sender is told that it failed.
    Fail,
    /// It goes on as it is.
    Pass,
    /// It ends here.
    Drop,
}

impl TextValue for OnError {
    fn parse_text(text: &str) -> Result<Self, String> {
        match text {
            "fail" => Ok(Self::Fail),
            "pass" => Ok(Self::Pass),
            "drop" => Ok(Self::Drop),
            _ => Err(format!("{text:?} is no way to go on: write \"fail\", \"pass\" or \"drop\"")),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Fail => "fail",
            Self::Pass => "pass",
            Self::Drop => "drop",
        }
        .to_owned()
    }
}

/// What becomes of a profile that a filter of profiles cannot look into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnUnsupported {
    /// It goes on as it is.
    Pass,
    /// Its sender is told that it is refused.
    Fail,
}

impl TextValue for OnUnsupported {
    fn parse_text(text: &str) -> Result<Self, String> {
        match text {
            "pass" => Ok(Self::Pass),
            "fail" => Ok(Self::Fail),
            _ => Err(format!("{text:?} is no way to go on: write \"pass\" or \"fail\"")),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
        }
        .to_owned()
    }
}

/// What the filter may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Granted(pub(super) Capability);

impl TextValue for Granted {
    fn parse_text(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: NoCapability| error.to_string())
    }

    fn to_text(&self) -> String {
        self.0.name().to_owned()
    }
}

/// The digest that the module's file must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileDigest(pub(super) Digest);

impl TextValue for FileDigest {
    fn parse_text(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: NoDigest| format!("{text:?} {error}"))
    }

    fn to_text(&self) -> String {
        self.0.to_string()
    }
}
