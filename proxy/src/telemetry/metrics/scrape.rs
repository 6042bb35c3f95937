//! `pyroscope_scrape_*`, of which the reference has none.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{ComponentLabels, Counter, IntGauge, counters, gauges};

pub(super) struct Families {
    loops: Family<ComponentLabels, IntGauge>,
    refused: Family<ComponentLabels, IntGauge>,
    scrapes: Family<ResultLabels, Counter>,
    bytes: Family<ComponentLabels, Counter>,
    delta_series: Family<ComponentLabels, IntGauge>,
    delta_bytes: Family<ComponentLabels, IntGauge>,
    delta_resets: Family<ComponentLabels, Counter>,
    delta_evictions: Family<ComponentLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    result: &'static str,
}

/// The series of one `pyroscope.scrape`.
#[derive(Debug, Clone)]
pub struct ScrapeMetrics {
    /// Targets, each once for each kind of profile.
    pub loops: IntGauge,
    /// Targets that cannot be scraped.
    pub refused: IntGauge,
    /// Bytes of profiles, as they came.
    pub bytes: Counter,
    /// Series of profiles of which something is remembered, for the difference to the next.
    pub delta_series: IntGauge,
    /// Bytes that are remembered.
    pub delta_bytes: IntGauge,
    /// Series that began anew.
    pub delta_resets: Counter,
    /// Series that were let go for want of memory.
    pub delta_evictions: Counter,
    scrapes: [Counter; ScrapeResult::ALL.len()],
}

macro_rules! results {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What came of a scrape that was due.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ScrapeResult {
            $($(#[$doc])* $variant,)*
        }

        impl ScrapeResult {
            const ALL: [Self; [$($text),*].len()] = [$(Self::$variant),*];

            fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

results! {
    /// A profile came, and was taken.
    Success = "success",
    /// No connection, or it broke.
    NoAnswer = "no_answer",
    /// There was no whole answer in time.
    Timeout = "timeout",
    /// The target has no such profile.
    Absent = "absent",
    /// An answer with another status than success.
    Status = "status",
    /// An answer that is no profile.
    Invalid = "invalid",
    /// An answer that is larger than it may be.
    TooLarge = "too_large",
    /// No memory was left.
    NoMemory = "no_memory",
    /// A profile came, and was not taken.
    NotTaken = "not_taken",
    /// Not begun: the one before is still under way.
    StillBusy = "still_busy",
    /// Not begun: the target had no such profile a while ago.
    StillAbsent = "still_absent",
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let r = registry;
        Self {
            loops: gauges(r, "pyroscope_scrape_loops", "Targets, each once for each kind of profile"),
            refused: gauges(r, "pyroscope_scrape_targets_refused", "Targets that cannot be scraped"),
            scrapes: counters(r, "pyroscope_scrape_scrapes_total", "Scrapes that were due, by what came of them"),
            bytes: counters(r, "pyroscope_scrape_bytes_total", "Bytes of profiles, as they came"),
            delta_series: gauges(r, "pyroscope_scrape_delta_states", "Series whose last profile is remembered"),
            delta_bytes: gauges(r, "pyroscope_scrape_delta_bytes", "Bytes that are remembered of last profiles"),
            delta_resets: counters(
                r,
                "pyroscope_scrape_delta_resets_total",
                "Series that began anew: their counters fell or changed, or a profile could not be read",
            ),
            delta_evictions: counters(
                r,
                "pyroscope_scrape_delta_evictions_total",
                "Series whose last profile was let go for want of memory",
            ),
        }
    }

    pub(super) fn of(&self, component: &ComponentLabels) -> ScrapeMetrics {
        ScrapeMetrics {
            loops: self.loops.get_or_create_owned(component),
            refused: self.refused.get_or_create_owned(component),
            bytes: self.bytes.get_or_create_owned(component),
            delta_series: self.delta_series.get_or_create_owned(component),
            delta_bytes: self.delta_bytes.get_or_create_owned(component),
            delta_resets: self.delta_resets.get_or_create_owned(component),
            delta_evictions: self.delta_evictions.get_or_create_owned(component),
            scrapes: ScrapeResult::ALL.map(|result| self.scrapes.get_or_create_owned(&labels(component, result))),
        }
    }

    pub(super) fn forget(&self, component: &ComponentLabels) {
        self.loops.remove(component);
        self.refused.remove(component);
        self.bytes.remove(component);
        self.delta_series.remove(component);
        self.delta_bytes.remove(component);
        self.delta_resets.remove(component);
        self.delta_evictions.remove(component);
        for result in ScrapeResult::ALL {
            self.scrapes.remove(&labels(component, result));
        }
    }
}

impl ScrapeMetrics {
    /// Counts what came of a scrape.
    pub fn count(&self, result: ScrapeResult) {
        if let Some(scrapes) = self.scrapes.get(result as usize) {
            scrapes.inc();
        }
    }
}

fn labels(component: &ComponentLabels, result: ScrapeResult) -> ResultLabels {
    let ComponentLabels { component_id, component_path } = component.clone();
    ResultLabels { component_id, component_path, result: result.text() }
}
