//! The lists of the overview as rows of texts, and how wide each column may be.

use std::time::Duration;

use profiler_core::labels::{NAME, SERVICE_NAME};

use super::view::TABLES;
use crate::cli::terminal_text::{columns, harmless};
use crate::overview::{Backend, BackendState, Component, Endpoint, First, Loss, Overview, Series, Severity, View};
use crate::web::ui::format::{age, bytes, number};

/// Letters of a cell.
const LETTERS: usize = 200;
/// Between two columns.
pub(super) const GAP: usize = 2;

/// A list.
pub(super) struct Table {
    /// The first column's is the table's name.
    pub(super) columns: &'static [Column],
    pub(super) rows: Vec<Row>,
    /// Rows that the server left out.
    pub(super) left_out: usize,
    /// What is said where there is no row.
    pub(super) nothing: &'static str,
}

/// What stands below each other.
pub(super) struct Column {
    pub(super) head: &'static str,
    pub(super) is_figure: bool,
    /// Where there is too little room those with the highest go first.
    rank: u8,
}

/// What stands beside each other: harmless texts.
pub(super) struct Row {
    pub(super) cells: Vec<String>,
    pub(super) severity: Severity,
}

/// Texts of fewer columns say nothing.
const LEAST: usize = 10;

const fn text(head: &'static str, rank: u8) -> Column {
    Column { head, is_figure: false, rank }
}

const fn figure(head: &'static str, rank: u8) -> Column {
    Column { head, is_figure: true, rank }
}

/// All of them, in their order on the screen.
pub(super) fn tables(overview: &Overview) -> [Table; TABLES] {
    [
        series(overview.busiest.as_deref()),
        losses(&overview.losses),
        endpoints(&overview.endpoints),
        components(&overview.components),
    ]
}

fn series(views: Option<&[View]>) -> Table {
    let nothing = match views {
        None => "labels are shown on loopback alone, or after a password",
        Some([]) => "no profiles.view keeps profiles",
        Some(_) => "no profile came in the last five minutes",
    };
    let views = views.unwrap_or_default();
    let several = views.len() > 1;
    let rows = views.iter().flat_map(|view| {
        let common = common(&view.series.first);
        let row = move |series: &Series| {
            let title = title(series, &common);
            let title = if several { format!("{title} in {}", harmless(&view.component, LETTERS)) } else { title };
            let cells = vec![
                title,
                bytes(series.bytes_per_minute),
                number(series.profiles_per_minute),
                age(Duration::from_secs(series.seconds_ago)),
            ];
            Row { cells, severity: Severity::Good }
        };
        view.series.first.iter().map(row)
    });
    Table {
        columns: const { &[text("Busiest series", 0), figure("Bytes/min", 1), figure("Profiles/min", 2), figure("Last", 3)] },
        rows: rows.collect(),
        left_out: views.iter().map(|view| view.series.left_out()).sum(),
        nothing,
    }
}

/// Service and kind of profile, then the labels that tell it from the others.
fn title(series: &Series, common: &[(String, String)]) -> String {
    let named = |name| series.labels.get(name).filter(|value| !value.is_empty());
    let names: Vec<String> =
        [named(SERVICE_NAME), named(NAME)].into_iter().flatten().map(|value| harmless(value, LETTERS)).collect();
    let mut title = if names.is_empty() { "without a name".to_owned() } else { names.join(" · ") };
    for (name, value) in &series.labels {
        let is_told = name == NAME || name == SERVICE_NAME || common.iter().any(|(one, of)| one == name && of == value);
        if !is_told {
            title.push_str(&format!("  {}={}", harmless(name, LETTERS), harmless(value, LETTERS)));
        }
    }
    title
}

/// The labels that all of several series have.
fn common(series: &[Series]) -> Vec<(String, String)> {
    let Some((first, others @ [_, ..])) = series.split_first() else { return Vec::new() };
    let all_have =
        |(name, value): &(&String, &String)| others.iter().all(|other| other.labels.get(*name) == Some(value));
    first.labels.iter().filter(all_have).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn losses(losses: &First<Loss>) -> Table {
    let row = |loss: &Loss| {
        let detail =
            if loss.detail.is_empty() { String::new() } else { format!(": {}", harmless(&loss.detail, LETTERS)) };
        let why = harmless(&loss.why, LETTERS) + &detail;
        let cells = vec![why, harmless(&loss.component, LETTERS), rate(loss.per_second), number(loss.total as f64)];
        Row { cells, severity: if loss.wanted { Severity::Good } else { Severity::Poor } }
    };
    Table {
        columns: const { &[text("Dropped", 0), text("Component", 2), figure("/s", 3), figure("So far", 1)] },
        rows: losses.first.iter().map(row).collect(),
        left_out: losses.left_out(),
        nothing: "nothing so far",
    }
}

fn endpoints(endpoints: &First<Endpoint>) -> Table {
    let row = |endpoint: &Endpoint| {
        let waiting = endpoint.queue.as_ref().map_or("no queue".to_owned(), |queue| {
            let oldest = age(Duration::from_secs(queue.oldest_seconds));
            let oldest = if queue.records > 0 { format!(", {oldest}") } else { String::new() };
            format!("{} waiting, {}{oldest}", number(queue.records as f64), bytes(queue.bytes as f64))
        });
        let worst = endpoint.backends.iter().map(|backend| backend.state.severity()).max();
        let lost = if endpoint.given_up > 0 { Severity::Poor } else { Severity::Good };
        let cells = vec![
            harmless(&endpoint.endpoint, LETTERS),
            rate(endpoint.sent_per_second),
            rate(endpoint.retries_per_second),
            number(endpoint.given_up as f64),
            waiting,
            backends(&endpoint.backends),
        ];
        Row { cells, severity: worst.map_or(lost, |worst| worst.max(lost)) }
    };
    Table {
        columns: const {
            &[
                text("Endpoints", 0),
                figure("Sent/s", 1),
                figure("Retries/s", 5),
                figure("Given up", 3),
                text("Queue", 2),
                text("Backends", 4),
            ]
        },
        rows: endpoints.first.iter().map(row).collect(),
        left_out: endpoints.left_out(),
        nothing: "nothing is sent to a backend",
    }
}

/// How many are up, and which are not.
fn backends(backends: &[Backend]) -> String {
    let is_up = |backend: &&Backend| backend.state == BackendState::Up;
    let up = backends.iter().filter(is_up).count();
    let not_up: Vec<String> = backends
        .iter()
        .filter(|backend| !is_up(backend))
        .map(|Backend { backend, state }| format!("{} is {}", harmless(backend, LETTERS), state.words()))
        .collect();
    match (backends.len(), not_up.is_empty()) {
        (0, _) => "–".to_owned(),
        (_, true) => format!("{up} up"),
        (all, false) => format!("{up} of {all} up: {}", not_up.join(", ")),
    }
}

fn components(components: &First<Component>) -> Table {
    let row = |component: &Component| {
        let rate = if component.sends { rate(component.profiles_per_second) } else { "–".to_owned() };
        let to: Vec<String> = component.sends_to.iter().map(|path| harmless(path, LETTERS)).collect();
        let cells = vec![harmless(&component.path, LETTERS), component.word().to_owned(), rate, to.join(", ")];
        Row { cells, severity: component.severity() }
    };
    Table {
        columns: const { &[text("Components", 0), text("State", 1), figure("Profiles/s", 2), text("Sends to", 3)] },
        rows: components.first.iter().map(row).collect(),
        left_out: components.left_out(),
        nothing: "nothing runs",
    }
}

/// A rate, where it is known.
pub(super) fn rate(rate: Option<f64>) -> String {
    rate.map_or("…".to_owned(), number)
}

impl Table {
    /// How wide the widest cell of a column is.
    pub(super) fn natural(&self, place: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.cells.get(place)).map(|cell| columns(cell));
        let head = self.columns.get(place).map_or(0, |column| columns(column.head));
        cells.fold(head, usize::max)
    }

    /// How wide each column is on so many columns of a terminal; nothing for those that have no room. The first one has
    /// what is left.
    pub(super) fn widths(&self, most: usize) -> Vec<usize> {
        let natural: Vec<usize> = (0..self.columns.len()).map(|place| self.natural(place)).collect();
        let least = |place: usize| {
            let natural = natural.get(place).copied().unwrap_or_default();
            if self.columns.get(place).is_some_and(|column| column.is_figure) { natural } else { natural.min(LEAST) }
        };
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let needed = |shown: &[usize]| shown.iter().map(|place| least(*place)).sum::<usize>() + GAP * (shown.len() - 1);
        while shown.len() > 1 && needed(&shown) > most {
            let rank = |place: &&usize| self.columns.get(**place).map(|column| column.rank);
            let last = shown.iter().max_by_key(rank).copied();
            shown.retain(|place| Some(*place) != last);
        }
        let mut left = most.saturating_sub(needed(&shown));
        let mut widths = vec![0; self.columns.len()];
        // Texts are as wide as they are, those on the left first.
        for place in shown {
            let (least, natural) = (least(place), natural.get(place).copied().unwrap_or_default());
            let more = left.min(natural.saturating_sub(least));
            left -= more;
            if let Some(width) = widths.get_mut(place) {
                *width = (least + more).min(most);
            }
        }
        if let Some(first) = widths.first_mut() {
            *first += left;
        }
        widths
    }
}
