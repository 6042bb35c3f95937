//! The overview on a screen of any size: what fails, what flows, and as much of the tables as there is room for.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Sparkline};

use super::once::{figures, verdict};
use super::tables::{GAP, Row, Table};
use super::view::{TABLES, View};
use crate::cli::terminal_text::{columns, fit};
use crate::overview::Severity;
use crate::web::ui::format::age;

/// Figures stand beside each other, with their plots, where there are so many columns and rows.
const WIDE: u16 = 64;
const HIGH: u16 = 16;
/// Below each other, where there are so many rows.
const LOW: u16 = 11;
/// Of each table at least its head and a row, or it alone.
const LEAST: usize = 2;
const FAINT: Style = Style::new().add_modifier(Modifier::DIM);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

const HELP: [(&str, &str); 7] = [
    ("Tab, ← →", "another table"),
    ("↑ ↓, j k", "scroll it"),
    ("PgUp PgDn", "by ten rows"),
    ("Home End", "to its ends"),
    ("p, Space", "pause, and go on"),
    ("?", "this help"),
    ("q, Esc", "end"),
];

/// Draws all of it.
pub(super) fn draw(view: &mut View, frame: &mut Frame<'_>) {
    let mut rest = frame.area();
    let is_high = rest.height >= HIGH;
    head(view, frame, row(&mut rest));
    for (place, line) in verdict(&view.overview).into_iter().enumerate() {
        let severity = view.overview.failing.first.first().map_or(Severity::Good, |component| component.severity());
        let style = colour(severity).patch(if place == 0 { BOLD } else { Style::new() });
        let text = if place == 0 { format!("● {line}") } else { format!("  {line}") };
        write(frame, row(&mut rest), &text, style);
        if rest.height < LOW {
            break;
        }
    }
    if is_high && rest.width >= WIDE {
        tiles(view, frame, rows(&mut rest, 4));
    } else if rest.height >= LOW {
        for (name, figure, besides) in figures(&view.overview) {
            write(frame, row(&mut rest), &format!("{name:8} {figure}, {besides}"), Style::new());
        }
    } else {
        let flow = figures(&view.overview).map(|(name, figure, _)| format!("{name} {figure}"));
        write(frame, row(&mut rest), &flow.join(", "), Style::new());
    }
    if is_high {
        row(&mut rest);
    }
    tables(view, frame, rest);
    if view.shows_help {
        help(frame);
    }
}

fn head(view: &View, frame: &mut Frame<'_>, area: Rect) {
    let (word, style) = match (&view.trouble, view.is_paused) {
        (Some(_), _) => ("not reached", colour(Severity::Bad)),
        (None, true) => ("paused", colour(Severity::Poor)),
        (None, false) => ("live", colour(Severity::Good)),
    };
    let since = view.seen.elapsed();
    let since = if view.trouble.is_some() {
        format!(", as it was {} ago", age(since.max(Duration::from_secs(1))))
    } else {
        String::new()
    };
    let said = view.trouble.as_deref().unwrap_or(&view.server);
    let state = format!("{word}{since}  ? help");
    let room = usize::from(area.width).saturating_sub(columns(&state) + GAP);
    let spaces = " ".repeat(usize::from(area.width).saturating_sub(columns(&state) + columns(&fit(said, room))));
    let line = Line::from(vec![Span::raw(fit(said, room)), Span::raw(spaces), Span::styled(state, style)]);
    frame.render_widget(Paragraph::new(line), area);
}

fn tiles(view: &View, frame: &mut Frame<'_>, area: Rect) {
    let flow = &view.overview.flow;
    let lines = [&flow.came.line, &flow.sent.line, &flow.waiting.line, &flow.dropped.line];
    let width = area.width / 4;
    for ((place, (name, figure, besides)), line) in (0..).zip(figures(&view.overview)).zip(lines) {
        let mut tile = Rect { x: area.x + place * width, width: width.saturating_sub(2), ..area };
        let loses = name == "Dropped" && flow.dropped.per_second.is_some_and(|rate| rate > 0.0);
        write(frame, row(&mut tile), name, FAINT);
        write(frame, row(&mut tile), &figure, if loses { BOLD.patch(colour(Severity::Poor)) } else { BOLD });
        plot(frame, row(&mut tile), line);
        write(frame, row(&mut tile), &besides, FAINT);
    }
}

/// The last values, as many as there are columns, from 0 to the highest.
fn plot(frame: &mut Frame<'_>, area: Rect, line: &[f64]) {
    let shown = line.get(line.len().saturating_sub(area.width.into())..).unwrap_or_default();
    let highest = shown.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let steps: Vec<u64> = shown.iter().map(|value| (value / highest * 64.0).round() as u64).collect();
    let room = usize::from(area.width) - shown.len();
    let right = Rect { x: area.x + room as u16, width: shown.len() as u16, ..area };
    frame.render_widget(Sparkline::default().data(&steps).max(64).style(FAINT), right);
}

fn tables(view: &mut View, frame: &mut Frame<'_>, mut area: Rect) {
    let wanted = view.tables.each_ref().map(|table| 1 + table.rows.len().max(1) + usize::from(table.left_out > 0));
    let heights = shares(area.height.into(), wanted, view.focus);
    for (place, ((table, height), offset)) in view.tables.iter().zip(heights).zip(&mut view.offsets).enumerate() {
        if height > 0 {
            draw_table(table, offset, place == view.focus, frame, rows(&mut area, height));
        }
    }
}

/// How many rows each table has: where there is room for all, a part each, and what is left for the one that is looked at.
fn shares(height: usize, wanted: [usize; TABLES], focus: usize) -> [usize; TABLES] {
    let mut shares = [0; TABLES];
    if height < LEAST * TABLES {
        if let Some(share) = shares.get_mut(focus) {
            *share = height;
        }
        return shares;
    }
    let each = height / TABLES;
    for (share, wanted) in shares.iter_mut().zip(wanted) {
        *share = wanted.min(each);
    }
    let mut left = height - shares.iter().sum::<usize>();
    for place in [focus].into_iter().chain(0..TABLES) {
        if let (Some(share), Some(wanted)) = (shares.get_mut(place), wanted.get(place)) {
            let more = left.min(wanted - *share);
            *share += more;
            left -= more;
        }
    }
    shares
}

fn draw_table(table: &Table, offset: &mut usize, is_focused: bool, frame: &mut Frame<'_>, mut area: Rect) {
    let widths = table.widths(area.width.into());
    let room = usize::from(area.height).saturating_sub(1);
    *offset = (*offset).min(table.rows.len().saturating_sub(room));
    let shown: Vec<&Row> = table.rows.iter().skip(*offset).take(room).collect();
    let mut heads: Vec<String> = table.columns.iter().map(|column| column.head.to_owned()).collect();
    let all = table.rows.len() + table.left_out;
    if let Some(first) = heads.first_mut().filter(|_| shown.len() < all) {
        *first += &format!(" {}–{} of {all}", *offset + 1, *offset + shown.len());
    }
    let head = if is_focused { BOLD.add_modifier(Modifier::REVERSED) } else { BOLD };
    write_cells(table, &widths, &heads, head, frame, row(&mut area));
    if shown.is_empty() {
        write(frame, row(&mut area), table.nothing, FAINT);
    }
    for line in shown {
        write_cells(table, &widths, &line.cells, colour(line.severity), frame, row(&mut area));
    }
}

fn write_cells(table: &Table, widths: &[usize], cells: &[String], style: Style, frame: &mut Frame<'_>, area: Rect) {
    let mut line = String::new();
    for (place, ((cell, width), column)) in cells.iter().zip(widths).zip(table.columns).enumerate() {
        if *width == 0 {
            continue;
        }
        let cell = fit(cell, *width);
        let room = " ".repeat(width.saturating_sub(columns(&cell)));
        line += &" ".repeat(if place == 0 { 0 } else { GAP });
        line += &if column.is_figure { room + &cell } else { cell + &room };
    }
    write(frame, area, &line, style);
}

fn help(frame: &mut Frame<'_>) {
    let lines: Vec<Line<'_>> = HELP.iter().map(|(keys, what)| Line::raw(format!(" {keys:11}{what} "))).collect();
    let whole = frame.area();
    let (width, height) = (whole.width.min(34), whole.height.min(HELP.len() as u16 + 2));
    let (x, y) = (whole.x + (whole.width - width) / 2, whole.y + (whole.height - height) / 2);
    let area = Rect { x, y, width, height };
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" Keys ")), area);
}

/// One line of harmless text.
fn write(frame: &mut Frame<'_>, area: Rect, text: &str, style: Style) {
    frame.render_widget(Paragraph::new(Line::styled(fit(text, area.width.into()), style)), area);
}

/// The terminal's own colours: it knows what stands out on its background. What they say is said in words, too.
fn colour(severity: Severity) -> Style {
    match severity {
        Severity::Good => Style::new(),
        Severity::Unknown => FAINT,
        Severity::Poor => Style::new().fg(Color::Yellow),
        Severity::Bad => Style::new().fg(Color::Red),
    }
}

/// Takes the first row of an area.
fn row(area: &mut Rect) -> Rect {
    rows(area, 1)
}

/// Takes the first rows of an area, as many as there are.
fn rows(area: &mut Rect, most: usize) -> Rect {
    let height = area.height.min(u16::try_from(most).unwrap_or(u16::MAX));
    let taken = Rect { height, ..*area };
    *area = Rect { y: area.y + height, height: area.height - height, ..*area };
    taken
}

#[cfg(test)]
mod tests;
