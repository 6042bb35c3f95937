//! Aligns columns and joins words into lines.

/// A piece of the output.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// The indentation that starts a line.
    Indent(usize),
    /// Text; spaces at its end are dropped at the end of a line.
    Text(String),
    /// Text that stays as it is.
    Comment(String),
    /// Ends a column.
    Column,
    /// Ends a line.
    Newline,
    /// Ends a line and all alignment.
    Break,
}

#[derive(Debug, Default)]
struct Line {
    /// Columns that were ended: they are padded. Every level of indentation is an empty one.
    columns: Vec<String>,
    rest: String,
    /// How much of `rest` is not to be trimmed.
    kept: usize,
}

/// How wide a tab is taken to be, where an indentation has to be as wide as a column.
const TAB_WIDTH: usize = 8;

/// The text of the items: neighbouring lines that have a column in common get it with one width, and a space
/// follows it. Lines end without spaces, except for those of comments.
pub(super) fn lay_out(items: Vec<Item>) -> String {
    let mut text = String::new();
    let mut section = Vec::new();
    let mut line = Line::default();
    for item in items {
        match item {
            Item::Indent(levels) => line.columns.extend(std::iter::repeat_n(String::new(), levels)),
            Item::Text(word) => line.rest.push_str(&word),
            Item::Comment(comment) => {
                line.rest.push_str(&comment);
                line.kept = line.rest.len();
            }
            Item::Column => {
                line.columns.push(std::mem::take(&mut line.rest));
                line.kept = 0;
            }
            Item::Newline => section.push(std::mem::take(&mut line)),
            Item::Break => {
                section.push(std::mem::take(&mut line));
                push_section(&mut text, std::mem::take(&mut section));
            }
        }
    }
    section.push(line);
    push_section(&mut text, section);
    text.pop();
    text
}

fn push_section(text: &mut String, mut section: Vec<Line>) {
    align(&mut section, 0);
    for line in section {
        push_line(text, line);
    }
}

/// Pads the column in every run of lines that have it, then the ones behind it in each run.
fn align(lines: &mut [Line], column: usize) {
    for run in lines.chunk_by_mut(|a, b| has(a, column) && has(b, column)) {
        if !run.first().is_some_and(|line| has(line, column)) {
            continue;
        }
        let width = run.iter().filter_map(|line| line.columns.get(column)).map(|cell| cell.chars().count()).max();
        let width = width.unwrap_or(0) + 1;
        for line in run.iter_mut() {
            let indents = line.columns.iter().take(column).all(|cell| cell.trim_matches('\t').is_empty());
            if let Some(cell) = line.columns.get_mut(column) {
                pad(cell, width, indents);
            }
        }
        align(run, column + 1);
    }
}

/// An indentation is padded with tabs, anything else with spaces.
fn pad(cell: &mut String, width: usize, behind_indents: bool) {
    if cell.is_empty() && behind_indents {
        cell.extend(std::iter::repeat_n('\t', width.div_ceil(TAB_WIDTH)));
    } else {
        let missing = width.saturating_sub(cell.chars().count());
        cell.extend(std::iter::repeat_n(' ', missing));
    }
}

fn has(line: &Line, column: usize) -> bool {
    line.columns.len() > column
}

fn push_line(text: &mut String, mut line: Line) {
    let kept = line.kept.max(line.rest.trim_end_matches([' ', '\t']).len());
    line.rest.truncate(kept);
    let columns = line.columns.concat();
    text.push_str(if line.rest.is_empty() { columns.trim_end_matches([' ', '\t']) } else { &columns });
    text.push_str(&line.rest);
    text.push('\n');
}
