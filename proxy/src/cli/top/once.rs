//! The overview as text, for those who do not look at a terminal.

use std::time::Duration;

use super::tables::{GAP, Table, rate, tables};
use crate::cli::terminal_text::{columns, harmless};
use crate::overview::{Component, Overview, Stream};
use crate::web::ui::format::{age, bytes, number};

/// Letters of a reason.
const REASON: usize = 600;

/// All of it; no name is cut for want of columns.
pub(super) fn text(server: &str, overview: &Overview) -> String {
    let mut text = format!("{server}\n{}\n\n", verdict(overview).join("\n  "));
    for (name, figure, besides) in figures(overview) {
        text += &format!("{name:8}  {figure:24}{besides}\n");
    }
    for table in tables(overview) {
        text += "\n";
        text += &written(&table);
    }
    text
}

/// What is wrong, or that nothing is: in one line, the reason in a second one.
pub(super) fn verdict(overview: &Overview) -> Vec<String> {
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    let Some((first, _)) = overview.failing.first.split_first() else {
        return vec![format!("All is well: {} running", count(overview.components.of, "component"))];
    };
    let Component { path, wrong, .. } = first;
    let mut line = format!("{} is {}", harmless(path, REASON), first.word());
    if let Some(wrong) = wrong {
        line += &format!(" for {}", age(Duration::from_secs(wrong.for_seconds)));
    }
    if overview.failing.of > 1 {
        line += &format!(", and {} fail too", count(overview.failing.of - 1, "other"));
    }
    let reason = wrong.iter().map(|wrong| harmless(wrong.reason.trim(), REASON)).filter(|reason| !reason.is_empty());
    [line].into_iter().chain(reason).collect()
}

/// What flows: its name, how much of it, and what else there is to say.
pub(super) fn figures(overview: &Overview) -> [(&'static str, String, String); 4] {
    let flow = &overview.flow;
    let so_far = |stream: &Stream| {
        let bytes_a_second = stream.bytes_per_second.filter(|bytes| *bytes > 0.0);
        let flow = bytes_a_second.map(|of| format!("{}/s, ", bytes(of))).unwrap_or_default();
        format!("{flow}{} so far", number(stream.total as f64))
    };
    let profiles = |stream: &Stream| format!("{} profiles/s", rate(stream.per_second));
    let waiting = format!("{} in queues", number(flow.waiting.records as f64));
    [
        ("In", profiles(&flow.came), so_far(&flow.came)),
        ("Out", profiles(&flow.sent), so_far(&flow.sent)),
        ("Waiting", waiting, format!("{} on disk", bytes(flow.waiting.bytes as f64))),
        ("Dropped", format!("{} /s", rate(flow.dropped.per_second)), so_far(&flow.dropped)),
    ]
}

fn written(table: &Table) -> String {
    if table.rows.is_empty() {
        let head = table.columns.first().map_or("", |column| column.head);
        return format!("{head}: {}\n", table.nothing);
    }
    let widths: Vec<usize> = (0..table.columns.len()).map(|place| table.natural(place)).collect();
    let line = |cells: Vec<&str>| {
        let mut line = String::new();
        for (place, ((cell, width), column)) in cells.iter().zip(&widths).zip(table.columns).enumerate() {
            let room = " ".repeat(width.saturating_sub(columns(cell)));
            let gap = if place == 0 { 0 } else { GAP };
            line += &" ".repeat(gap);
            line += &if column.is_figure { room + cell } else { (*cell).to_owned() + &room };
        }
        line.trim_end().to_owned() + "\n"
    };
    let mut text = line(table.columns.iter().map(|column| column.head).collect());
    for row in &table.rows {
        text += &line(row.cells.iter().map(String::as_str).collect());
    }
    if table.left_out > 0 {
        text += &format!("and {} more\n", table.left_out);
    }
    text
}
