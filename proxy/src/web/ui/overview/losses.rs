//! What does not go on, and why.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::rate as shown;
use crate::overview::{self, First};
use crate::web::ui::component_page;
use crate::web::ui::format::{SHORT, cut, number, plain};
use crate::web::ui::pulse::{History, Key};

/// Losses that are listed.
const MOST_LOSSES: usize = 50;
/// Of these in a page.
const SHOWN: usize = 20;

/// A kind of loss, and the counter that tells it.
struct Loss {
    metric: &'static str,
    /// Why; the label `reason` stands behind it.
    why: &'static str,
    label: &'static str,
    /// Whether somebody wanted it so.
    wanted: bool,
}

const FILTER_DROPS: &str = "flamegate_filter_drops_total";

static LOSSES: [Loss; 11] = [
    Loss::new("flamegate_receive_http_refused_total", "requests refused", "reason"),
    Loss::new("pyroscope_write_dropped_profiles_total", "given up by the endpoint", "endpoint"),
    Loss::new("flamegate_write_queue_refused_total", "not taken by the queue", "reason"),
    Loss::new("flamegate_write_queue_dropped_total", "made room in the queue", "endpoint"),
    Loss::new("flamegate_write_queue_expired_total", "too old in the queue", "endpoint"),
    Loss::new("flamegate_write_queue_damaged_total", "damaged in the queue", "endpoint"),
    Loss::new("flamegate_write_queue_rejected_total", "refused for good by the endpoint", "reason"),
    Loss::new("flamegate_filter_errors_total", "filter failed", "kind"),
    Loss::new("pyroscope_scrape_scrapes_total", "scrapes failed", "result"),
    Loss::wanted("pyroscope_relabel_profiles_dropped", "dropped by the rules", ""),
    Loss::wanted(FILTER_DROPS, "dropped by the filter", "reason"),
];

impl Loss {
    const fn new(metric: &'static str, why: &'static str, label: &'static str) -> Self {
        Self { metric, why, label, wanted: false }
    }

    const fn wanted(metric: &'static str, why: &'static str, label: &'static str) -> Self {
        Self { metric, why, label, wanted: true }
    }

    /// Scrapes are counted by what came of them, success too; what rules drop is counted as such, and by their filter.
    fn is(&self, key: &Key) -> bool {
        let id = key.component.rsplit('/').next().unwrap_or_default();
        let is_told_twice = self.metric == FILTER_DROPS && id.starts_with("pyroscope.relabel.");
        key.label(self.label) != "success" && !is_told_twice
    }
}

/// Of all of them, a second.
pub(super) fn rate(history: &History) -> f64 {
    LOSSES.iter().filter_map(|loss| history.rate(loss.metric, |key| loss.is(key))).sum()
}

/// Of all of them, since the start.
pub(super) fn total(history: &History) -> f64 {
    let of =
        |loss: &Loss| history.now(loss.metric).filter(|(key, _)| loss.is(key)).map(|(_, value)| value).sum::<f64>();
    LOSSES.iter().map(of).sum()
}

/// Of all of them, from one look to the next.
pub(super) fn rates(history: &History) -> Vec<f64> {
    let mut all: Vec<f64> = Vec::new();
    for loss in &LOSSES {
        let rates = history.rates(loss.metric, |key| loss.is(key));
        all.resize(rates.len(), 0.0);
        all.iter_mut().zip(rates).for_each(|(sum, rate)| *sum += rate);
    }
    all
}

/// Of each component that loses something: a second, and since the start.
pub(in crate::web::ui) fn by_component(history: &History) -> BTreeMap<&str, (f64, f64)> {
    let mut losses: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (loss, key, value) in all(history) {
        let (rate, total) = losses.entry(key.component.as_str()).or_default();
        *rate += history.rate(loss.metric, |other| other == key).unwrap_or_default();
        *total += value;
    }
    losses
}

/// Each that there was.
fn all(history: &History) -> Vec<(&'static Loss, &Key, f64)> {
    let mut all = Vec::new();
    for loss in &LOSSES {
        let of_it = history.now(loss.metric).filter(|(key, value)| *value > 0.0 && loss.is(key));
        all.extend(of_it.map(|(key, value)| (loss, key, value)));
    }
    all
}

/// What nobody wanted so first, and most of it first.
pub(super) fn told(history: &History) -> First<overview::Loss> {
    let mut rows = all(history);
    rows.sort_by(|a, b| a.0.wanted.cmp(&b.0.wanted).then(b.2.total_cmp(&a.2)));
    let told = |(loss, key, total): (&Loss, &Key, f64)| overview::Loss {
        component: key.component.clone(),
        why: loss.why.to_owned(),
        detail: cut(key.label(loss.label), SHORT),
        wanted: loss.wanted,
        per_second: history.rate(loss.metric, |other| other == key),
        total: total as u64,
    };
    First::cut(rows.into_iter().map(told), MOST_LOSSES)
}

pub(super) fn table(losses: &First<overview::Loss>) -> Markup {
    html! {
        section #losses {
            h2 { "Dropped, and why" }
            @if losses.first.is_empty() {
                p .faint { "Nothing so far." }
            } @else {
                div .scroll tabindex="0" role="region" aria-label="Dropped, and why" {
                    table {
                        thead { tr { th { "Component" } th { "Why" } th .right { "Per second" } th .right { "So far" } } }
                        tbody {
                            @for loss in losses.first.iter().take(SHOWN) {
                                tr .wanted[loss.wanted] {
                                    td { (component_page::link(&loss.component)) }
                                    td { (loss.why) @if !loss.detail.is_empty() { ": " b { (plain(&loss.detail, SHORT)) } } }
                                    td .right { (shown(loss.per_second)) }
                                    td .right { (number(loss.total as f64)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
