//! The busiest series among those that are kept.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use maud::{Markup, html};
use profiler_core::labels::{NAME, SERVICE_NAME};

use crate::kept::{Selector, Series, Store};
use crate::overview::{self, First, View};
use crate::web::ui::Trust;
use crate::web::ui::format::{SHORT, age, bytes, cut, number, plain};
use crate::web::ui::link::Link;

/// Over so long is counted.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Series that are shown.
const SHOWN: usize = 10;
/// Series, and labels of each, that programs are told.
const TOLD: usize = 50;

/// For programs.
pub(super) fn told(kept: &[(String, Arc<Store>)]) -> Vec<View> {
    let minutes = WINDOW.as_secs_f64() / 60.0;
    let one = |series: Series| overview::Series {
        labels: series.labels.iter().take(TOLD).map(|(name, value)| (cut(name, SHORT), cut(value, SHORT))).collect(),
        bytes_per_minute: series.bytes as f64 / minutes,
        profiles_per_minute: series.profiles as f64 / minutes,
        seconds_ago: series.last.elapsed().unwrap_or_default().as_secs(),
    };
    let view = |(component, store): &(String, Arc<Store>)| View {
        component: component.clone(),
        series: First::cut(store.series_since(SystemTime::now() - WINDOW).into_iter().map(one), TOLD),
    };
    kept.iter().map(view).collect()
}

pub(super) fn busiest(kept: &[(String, Arc<Store>)], trust: Trust) -> Markup {
    html! {
        section #busiest {
            h2 { "Busiest series" }
            @if kept.is_empty() { (how_to_keep()) }
            @else if trust == Trust::Figures { (why_not()) }
            @else { @for (view, store) in kept { (table(view, kept.len() > 1, &store.series_since(SystemTime::now() - WINDOW))) } }
        }
    }
}

fn table(view: &str, several: bool, series: &[Series]) -> Markup {
    let common = common(series);
    html! {
        @if several { h3 { code { (plain(view, SHORT)) } } }
        @if series.is_empty() {
            p .faint { "No profile came in the last five minutes." }
        } @else {
            div .scroll tabindex="0" role="region" aria-label="Busiest series" {
                table .series {
                    thead { tr { th { "Series" } th .right { "Bytes/min" } th .right { "Profiles/min" } th .right { "Last" } } }
                    tbody {
                        @for one in series.iter().take(SHOWN) { (row(view, one, &common)) }
                    }
                }
            }
            @if series.len() > SHOWN { p .faint { "and " (series.len() - SHOWN) " more." } }
        }
    }
}

/// The labels that all of several series have: they tell none from another.
fn common(series: &[Series]) -> BTreeSet<(&str, &str)> {
    let Some((first, others @ [_, ..])) = series.split_first() else { return BTreeSet::new() };
    let all_have = |(label, value): &(&str, &str)| others.iter().all(|other| other.labels.value(label) == Some(value));
    first.labels.iter().filter(all_have).collect()
}

fn row(view: &str, series: &Series, common: &BTreeSet<(&str, &str)>) -> Markup {
    let labels = &series.labels;
    let name = |label| labels.value(label).filter(|value| !value.is_empty());
    let title = [name(SERVICE_NAME), name(NAME)].into_iter().flatten().map(|part| plain(part, 80)).collect::<Vec<_>>();
    let title = if title.is_empty() { "without a name".to_owned() } else { title.join(" · ") };
    let others = labels.iter().filter(|label| label.0 != NAME && label.0 != SERVICE_NAME && !common.contains(label));
    let minutes = WINDOW.as_secs_f64() / 60.0;
    html! {
        tr {
            td {
                a href=(Link::of(view, &Selector::of(labels))) { (title) }
                @for (label, value) in others.take(12) {
                    " " span .label { (plain(label, 40)) "=" bdi { (plain(value, 80)) } }
                }
            }
            td .right { (bytes(series.bytes as f64 / minutes)) }
            td .right { (number(series.profiles as f64 / minutes)) }
            td .right { (age(series.last.elapsed().unwrap_or_default())) }
        }
    }
}

/// What a configuration without a component that keeps profiles lacks.
pub(in crate::web::ui) fn how_to_keep() -> Markup {
    html! {
        p { "No component keeps profiles. Put this beside the receiver of a " code { "forward_to" } ", and series and flame graphs are here:" }
        pre { code { "profiles.view \"default\" { }\n\nforward_to = [profiles.view.default.receiver, …]" } }
    }
}

/// Why labels and profiles are not shown.
pub(in crate::web::ui) fn why_not() -> Markup {
    html! {
        p {
            "Labels and profiles are not shown here: this page came over the network, and the configuration asks nobody for a "
            "password. Give the " code { "http" } " block an " code { "auth" } ", or come over loopback ("
            code { "ssh -L 12345:127.0.0.1:12345" } ", " code { "kubectl port-forward" } ")."
        }
    }
}
