//! Aligns columns and joins words into lines.

/// A piece of the output.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// The indentation that starts a line.
    Indent(usize),
    /// Text that stays as it is.
    Text(String),
    /// Ends a column.
    Column,
    /// Ends a line.
    Newline,
    /// Ends a line and all alignment.
    Break,
}

#[derive(Debug, Default)]
struct Line {
    indent: usize,
    /// Columns that were ended: they are padded.
    columns: Vec<String>,
    rest: String,
}

/// The text of the items: neighbouring lines that have a column in common get it with one width, and a space
/// follows it. No line ends with a space, unless a comment does.
pub(super) fn lay_out(items: Vec<Item>) -> String {
    let mut sections = vec![vec![Line::default()]];
    for item in items {
        let Some(section) = sections.last_mut() else {
            continue;
        };
        let Some(line) = section.last_mut() else {
            continue;
        };
        match item {
            Item::Indent(indent) => line.indent = indent,
            Item::Text(text) => line.rest.push_str(&text),
            Item::Column => line.columns.push(std::mem::take(&mut line.rest)),
            Item::Newline => section.push(Line::default()),
            Item::Break => sections.push(vec![Line::default()]),
        }
    }
    let mut text = String::new();
    for mut section in sections {
        align(&mut section, 0);
        for line in section {
            push_line(&mut text, &line);
            text.push('\n');
        }
    }
    text.pop();
    text
}

/// Pads the column in every run of lines that have it, then the ones behind it in each run.
fn align(lines: &mut [Line], column: usize) {
    for run in lines.chunk_by_mut(|a, b| a.indent == b.indent && has(a, column) && has(b, column)) {
        if !run.first().is_some_and(|line| has(line, column)) {
            continue;
        }
        let width = run.iter().filter_map(|line| line.columns.get(column)).map(|cell| cell.chars().count()).max();
        let width = width.filter(|&width| width > 0).map_or(0, |width| width + 1);
        for cell in run.iter_mut().filter_map(|line| line.columns.get_mut(column)) {
            let missing = width.saturating_sub(cell.chars().count());
            cell.extend(std::iter::repeat_n(' ', missing));
        }
        align(run, column + 1);
    }
}

fn has(line: &Line, column: usize) -> bool {
    line.columns.len() > column
}

fn push_line(text: &mut String, line: &Line) {
    let content = [line.columns.concat().as_str(), &line.rest].concat();
    let content = content.trim_end_matches([' ', '\t']);
    if !content.is_empty() {
        text.extend(std::iter::repeat_n('\t', line.indent));
        text.push_str(content);
    }
}
