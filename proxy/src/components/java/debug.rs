//! What is shown of each JVM to whoever looks for a fault.

use std::sync::Arc;
use std::time::SystemTime;

use alloy_syntax::Value;

use super::target_loop::TargetLoop;

/// JVMs that are shown.
const MOST_SHOWN: usize = 5_000;

/// In the order of the loops.
pub(super) fn info(loops: &[Arc<TargetLoop>]) -> Value {
    Value::object([("profiled_targets", Value::array(loops.iter().take(MOST_SHOWN).map(|of| target(of))))])
}

fn target(of: &TargetLoop) -> Value {
    let order = of.order();
    let labels = order.iter().flat_map(|order| order.target.iter());
    let labels = Value::object(labels.map(|(name, value)| (name, Value::from(value))));
    let shown = of.shown().clone();
    let (failed_at, error) = shown.last_error.unzip();
    let bytes = shown.last_bytes.into_iter().map(|(name, bytes)| (name, Value::from(bytes)));
    Value::object([
        ("pid", Value::from(u64::from(of.pid))),
        ("state", Value::from(shown.state.name())),
        ("target", labels),
        ("total_bytes", Value::from(shown.total_bytes)),
        ("total_samples", Value::from(shown.total_samples)),
        ("last_profiled", time(shown.last_profiled)),
        ("last_profile_bytes_per_type", Value::object(bytes)),
        ("last_error", time(failed_at)),
        ("error_msg", Value::from(error.as_deref().unwrap_or_default())),
    ])
}

fn time(at: Option<SystemTime>) -> Value {
    Value::from(at.map(|at| humantime::format_rfc3339_millis(at).to_string()).unwrap_or_default())
}
