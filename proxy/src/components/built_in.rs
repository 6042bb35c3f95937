//! The filters that are compiled in, as their components run them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use alloy_syntax::Invalid;

use crate::component::Services;
use crate::filters::{Builtin, Filter, FilterSettings, Generation, Remember};
use crate::telemetry::metrics::ComponentLabels;

/// Tries the settings, and remembers verdicts on so many label sets.
pub(super) fn filter(
    built_in: Builtin,
    settings: FilterSettings,
    label_sets: NonZeroUsize,
    component: &ComponentLabels,
    services: &Services,
) -> Result<Arc<Filter>, Invalid> {
    let (module, origin) = services.filters.builtin(built_in).map_err(|error| Invalid::block(error.to_string()))?;
    let remember = Remember { label_sets: Some(label_sets), deterministic: None };
    let generation = Generation::new(&module, settings, remember);
    let generation = generation.map_err(|error| Invalid::block(error.to_string()))?;
    let metrics = services.metrics.filter(component);
    metrics.loaded(origin);
    Ok(Arc::new(Filter::new(Arc::new(generation), &services.filters, metrics)))
}
