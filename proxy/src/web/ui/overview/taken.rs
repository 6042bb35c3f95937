//! The overview, made of the figures of the last minutes and of what components tell of themselves.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{losses, outlets};
use crate::overview::{Component, First, Flow, Overview, Stream, Waiting};
use crate::web::ui::Ui;
use crate::web::ui::pulse::{History, Key};

/// Components that are listed.
const MOST_COMPONENTS: usize = 200;
/// Of those that fail.
const MOST_FAILING: usize = 50;
const SENT: &str = "pyroscope_write_sent_profiles_total";

/// All but the series.
pub(super) fn overview(ui: &Ui, history: &History) -> Overview {
    let details = ui.controller.graph().all_details();
    let with_rate = |component: Component| Component {
        profiles_per_second: history.flow(&component.path).filter(|_| component.sends),
        ..component
    };
    let components: Vec<Component> = details.iter().map(Component::of).map(with_rate).collect();
    let mut failing: Vec<&Component> = components.iter().filter(|component| component.wrong.is_some()).collect();
    failing.sort_by_key(|component| Reverse(component.condition));
    Overview {
        failing: First::cut(failing.into_iter().cloned(), MOST_FAILING),
        flow: flow(history, &components),
        busiest: None,
        losses: losses::told(history),
        endpoints: outlets::all(history),
        components: First::cut(components.into_iter(), MOST_COMPONENTS),
    }
}

fn flow(history: &History, components: &[Component]) -> Flow {
    let any = |_: &Key| true;
    let bytes = |names: &[&str]| {
        let rates: Vec<f64> = names.iter().filter_map(|name| history.rate(name, any)).collect();
        (!rates.is_empty()).then(|| rates.iter().sum())
    };
    let sources = sources(components);
    let came: Vec<f64> = sources.iter().filter_map(|source| history.flow(source)).collect();
    let is_known = history.rate(SENT, any).is_some();
    Flow {
        came: Stream {
            per_second: is_known.then(|| came.iter().sum()),
            bytes_per_second: bytes(&[
                "pyroscope_receive_http_request_message_bytes_sum",
                "pyroscope_scrape_bytes_total",
            ]),
            total: history.sent_on(&sources) as u64,
            line: history.flows(&sources),
        },
        sent: Stream {
            per_second: history.rate(SENT, any),
            bytes_per_second: bytes(&["pyroscope_write_sent_bytes_total"]),
            total: history.sum(SENT) as u64,
            line: history.rates(SENT, any),
        },
        waiting: Waiting {
            records: history.sum("flamegate_write_queue_records") as u64,
            bytes: history.sum("flamegate_write_queue_bytes") as u64,
            line: history.gauge("flamegate_write_queue_records"),
        },
        dropped: Stream {
            per_second: is_known.then(|| losses::rate(history)),
            bytes_per_second: None,
            total: losses::total(history) as u64,
            line: losses::rates(history),
        },
    }
}

/// Those that send and that nobody sends to.
fn sources(components: &[Component]) -> Vec<String> {
    let fed: BTreeSet<&String> = components.iter().flat_map(|component| &component.sends_to).collect();
    let sources = components.iter().filter(|component| component.sends && !fed.contains(&component.path));
    sources.map(|component| component.path.clone()).collect()
}
