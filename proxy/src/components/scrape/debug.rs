//! What is shown of each target to whoever looks for a fault.

use std::sync::Arc;

use alloy_syntax::Value;
use profiler_core::labels::Labels;

use super::scrape_loop::{ScrapeLoop, State, TargetHealth};

/// Targets that are shown, those that are down first.
const MOST_SHOWN: usize = 5_000;

/// How many there are of each health, and how each of them is.
pub(super) fn info(loops: &[Arc<ScrapeLoop>]) -> Value {
    let mut states: Vec<State> = loops.iter().map(|of| of.shown()).collect();
    states.sort_by_cached_key(|state| (state.health, state.target.url.to_string()));
    let number = |health| states.iter().filter(|state| state.health == health).count() as u64;
    let numbers = [TargetHealth::Up, TargetHealth::Down, TargetHealth::Unknown]
        .map(|health| (health.name(), Value::from(number(health))));
    Value::object([
        ("numbers", Value::object(numbers)),
        ("target", Value::array(states.iter().take(MOST_SHOWN).map(target))),
    ])
}

fn target(state: &State) -> Value {
    let labels = state.target.labels().unwrap_or_else(|_| Labels::empty());
    let labels = Value::object(labels.iter().map(|(name, value)| (name, Value::from(value))));
    let last_scrape = state.last_scrape.map(|at| humantime::format_rfc3339_millis(at).to_string());
    Value::object([
        ("job", Value::from(state.target.settings().job_name.as_str())),
        ("url", Value::from(state.target.url.to_string())),
        ("health", Value::from(state.health.name())),
        ("labels", labels),
        ("last_error", Value::from(state.last_error.as_deref().unwrap_or_default())),
        ("last_scrape", Value::from(last_scrape.unwrap_or_default())),
        ("last_scrape_duration", Value::from(format!("{:?}", state.last_duration))),
    ])
}

impl TargetHealth {
    /// The reference's word for it.
    fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Unknown => "unknown",
        }
    }
}
