//! What a component shows of its filter to whoever looks for a fault.

use std::time::SystemTime;

use alloy_syntax::Value;

use crate::filters::{BreakerState, Filter};

/// Module, generation, and what went wrong last; what the component adds stands first.
pub(super) fn info(own: impl IntoIterator<Item = (&'static str, Value)>, filter: &Filter) -> Value {
    let generation = filter.generation();
    let described = generation.filter().described();
    let (seen, cache) = (filter.seen(), generation.cache_size());
    let tables = generation.filter().settings().tables.clone();
    let rows = tables.sizes().map(|(name, rows)| (name.to_owned(), Value::from(rows as u64)));
    let (when, error) = match seen.last_error {
        Some((when, error)) => (Value::string(moment(when)), Value::string(error)),
        None => (Value::Null, Value::Null),
    };
    let of_the_filter = [
        ("sha256", Value::string(generation.filter().module().digest().to_string())),
        ("name", Value::string(&described.name)),
        ("version", Value::string(&described.version)),
        ("generation", Value::from(generation.number())),
        ("remembers_verdicts", Value::Bool(generation.remembers())),
        ("verdicts", Value::from(cache.entries as u64)),
        ("verdict_bytes", Value::from(cache.bytes as u64)),
        ("table_rows", Value::object(rows)),
        ("state", Value::string(state(filter.breaker()))),
        ("slowest_call", Value::string(format!("{:?}", seen.slowest_call))),
        ("last_error", error),
        ("last_error_at", when),
    ];
    Value::object(own.into_iter().chain(of_the_filter))
}

fn state(breaker: BreakerState) -> &'static str {
    match breaker {
        BreakerState::Closed => "asked",
        BreakerState::HalfOpen => "tried",
        BreakerState::Open => "rests",
    }
}

fn moment(when: SystemTime) -> String {
    humantime::format_rfc3339_millis(when).to_string()
}
