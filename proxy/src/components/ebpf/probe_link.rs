//! A place at which threads are sampled when they come there, as an argument.

use alloy_syntax::TextValue;
use profiler_core::kernel::Probe;

/// A place at which threads are sampled when they come there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProbeLink(pub(super) Probe);

impl TextValue for ProbeLink {
    fn parse_text(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: profiler_core::kernel::ProbeSyntaxError| error.to_string())
    }

    fn to_text(&self) -> String {
        self.0.to_string()
    }
}
