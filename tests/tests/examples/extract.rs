//! Finds configurations in Markdown: fenced, indented, or, where the document lost its fences, as plain lines.

/// The spaces that may stand before a configuration.
const INDENTS: [usize; 2] = [0, 4];

/// The configurations of a document: blocks and the comments between them, without the indentation.
pub(crate) fn examples(document: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut reading: Option<Reading> = None;
    for line in document.lines().map(str::trim_end) {
        reading = match reading {
            Some(reading) => reading.next(line, &mut found),
            None => Reading::begin(line),
        };
    }
    found.extend(reading.and_then(Reading::text));
    found
}

/// The name of the block that begins in a line.
pub(crate) fn block_name(line: &str) -> Option<&str> {
    let head = line.strip_suffix('{')?.strip_suffix(' ')?;
    let (name, label) = head.split_once(' ').unwrap_or((head, "\"\""));
    let is_name = !name.is_empty() && name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '.'));
    let is_label = label.len() >= 2 && label.starts_with('"') && label.ends_with('"');
    (is_name && is_label).then_some(name)
}

/// A configuration that is being read.
struct Reading {
    indent: usize,
    lines: Vec<String>,
    /// Whether a block is open.
    inside: bool,
}

impl Reading {
    fn begin(line: &str) -> Option<Self> {
        INDENTS.into_iter().find_map(|indent| {
            let line = line.get(indent..).filter(|_| line.bytes().take(indent).all(|byte| byte == b' '))?;
            let is_block = block_name(line).is_some();
            let begins = is_block || line.starts_with("//");
            begins.then(|| Self { indent, lines: vec![line.to_owned()], inside: is_block })
        })
    }

    fn next(mut self, line: &str, found: &mut Vec<String>) -> Option<Self> {
        if !self.inside && !line.is_empty() {
            return match Self::begin(line) {
                Some(more) if more.indent == self.indent => {
                    self.lines.extend(more.lines);
                    Some(Self { inside: more.inside, ..self })
                }
                other => {
                    found.extend(self.text());
                    other
                }
            };
        }
        let line = line.get(self.indent..).unwrap_or_default();
        match line.strip_prefix('}').filter(|_| self.inside) {
            None => self.lines.push(line.to_owned()),
            Some(behind) => {
                self.lines.push("}".to_owned());
                self.inside = false;
                // The prose goes on behind the brace.
                if !behind.is_empty() {
                    found.extend(self.text());
                    return None;
                }
            }
        }
        Some(self)
    }

    /// `None` if there is no block.
    fn text(self) -> Option<String> {
        let is_configuration = self.lines.iter().any(|line| block_name(line).is_some());
        is_configuration.then(|| format!("{}\n", self.lines.join("\n").trim_matches('\n')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_of_all_three_forms() {
        let document = "Prose { a\n\n```alloy\na.b \"x\" {\n  c = 1\n}\n```\n\n    // first\n    a \"x\" {\n      b {\n      }\n    }\n    \n    a \"y\" {\n    }\n\nconfig := a {\n}\nc.d \"x\" {\n    e {\n    }\n}\n// more\nc.d \"y\" {\n}More prose\n// no block\nend";
        let expected = [
            "a.b \"x\" {\n  c = 1\n}\n",
            "// first\na \"x\" {\n  b {\n  }\n}\n\na \"y\" {\n}\n",
            "c.d \"x\" {\n    e {\n    }\n}\n// more\nc.d \"y\" {\n}\n",
        ];
        assert_eq!(examples(document), expected);
    }
}
