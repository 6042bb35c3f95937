//! Puts words, spaces and comments in a row.
//!
//! Spaces are held back until the next word is written, since a comment before that word changes them.

use super::layout::{Item, lay_out};
use crate::ast::{Comment, CommentGroup};
use crate::position::Position;
use crate::token::TokenKind;

/// What is to stand between two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Blank,
    /// Starts a column that is aligned with the lines around.
    Column,
    Newline,
    /// A line's end over which nothing is aligned.
    Break,
    Indent,
    Unindent,
}

/// A place in the source, as far as it matters here.
#[derive(Debug, Clone, Copy)]
struct Place {
    line: usize,
    offset: usize,
}

#[derive(Debug)]
pub(super) struct Printer<'a> {
    items: Vec<Item>,
    pending: Vec<Space>,
    indent: usize,
    at_line_start: bool,
    last_kind: Option<TokenKind>,
    /// About where in the source the next word comes from: exact where the tree says so.
    at: Place,
    /// The source's line of the end of what was written last.
    last_line: usize,
    /// The line being written, from 0.
    line: usize,
    /// Comments that are still to come, grouped.
    comments: &'a [CommentGroup],
}

/// Empty lines are kept, but never two in a row.
const MOST_NEWLINES: usize = 2;

impl<'a> Printer<'a> {
    pub(super) fn new(comments: &'a [CommentGroup]) -> Self {
        Self {
            items: Vec::new(),
            pending: Vec::new(),
            indent: 0,
            at_line_start: true,
            last_kind: None,
            at: Place { line: 1, offset: 0 },
            last_line: 0,
            line: 0,
            comments,
        }
    }

    /// Writes what comments are left; pending spaces are dropped.
    pub(super) fn finish(mut self) -> String {
        let end = Place { line: usize::MAX, offset: usize::MAX };
        if self.comment_before(end) {
            self.write_comments(end);
        }
        lay_out(self.items)
    }

    /// The line of what was written last, in the output; of spaces that are held back nothing is counted.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    pub(super) fn space(&mut self, space: Space) {
        self.pending.push(space);
        self.last_kind = None;
    }

    /// Says where in the source the next word comes from.
    pub(super) fn move_to(&mut self, position: Position) {
        self.at = Place { line: position.line, offset: position.offset };
    }

    /// A word with its own text.
    pub(super) fn word(&mut self, kind: TokenKind, text: &str) {
        self.last_kind = Some(kind);
        self.write(text);
    }

    /// An operator or bracket, at the place that was moved to.
    pub(super) fn symbol(&mut self, kind: TokenKind) {
        self.last_kind = Some(kind);
        self.write(kind.as_str());
    }

    /// A symbol of which the tree does not say where it stands: it follows the word before it, and comments between
    /// them come behind it. Were those that touch the word written first, as the reference does, formatting again
    /// would find them at a distance, and move them.
    pub(super) fn symbol_behind(&mut self, kind: TokenKind) {
        let text = kind.as_str();
        if self.last_kind == Some(TokenKind::Number) && text == "." {
            self.pending.push(Space::Blank);
        }
        self.last_kind = Some(kind);
        self.write_pending(self.pending.len());
        self.write_item(self.at, text, Item::Text(text.to_owned()));
    }

    fn write(&mut self, text: &str) {
        let next = self.at;
        if self.comment_before(next) {
            if let Some(last) = self.write_comments(next) {
                self.space_after_comment(next, last);
            }
        } else {
            self.write_pending(self.pending.len());
        }
        self.write_item(next, text, Item::Text(text.to_owned()));
    }

    fn write_item(&mut self, place: Place, text: &str, item: Item) {
        self.write_indent();
        let lines = text.matches('\n').count();
        self.line += lines;
        self.at = Place { line: place.line.saturating_add(lines), offset: place.offset.saturating_add(text.len()) };
        self.last_line = self.at.line;
        self.items.push(item);
    }

    fn write_indent(&mut self) {
        if self.at_line_start {
            self.at_line_start = false;
            self.at.offset += self.indent;
            self.items.push(Item::Indent(self.indent));
        }
    }

    fn write_newlines(&mut self, item: &Item, count: usize) {
        if count == 0 {
            return;
        }
        for _ in 0..count {
            self.items.push(item.clone());
        }
        self.at.offset += count;
        self.at.line += count;
        self.line += count;
        self.at_line_start = true;
    }

    fn write_inline(&mut self, item: Item) {
        self.write_indent();
        self.items.push(item);
        self.at.offset += 1;
    }

    /// Writes the first `count` of the pending spaces.
    fn write_pending(&mut self, count: usize) {
        for space in self.pending.drain(..count).collect::<Vec<_>>() {
            match space {
                Space::Blank => self.write_inline(Item::Text(" ".to_owned())),
                Space::Column => self.write_inline(Item::Column),
                Space::Newline => self.write_newlines(&Item::Newline, 1),
                Space::Break => self.write_newlines(&Item::Break, 1),
                Space::Indent => self.indent += 1,
                Space::Unindent => self.indent = self.indent.saturating_sub(1),
            }
        }
    }

    fn comment_before(&self, next: Place) -> bool {
        let first = self.comments.first().and_then(|group| group.first());
        first.is_some_and(|comment| comment.span.start.offset <= next.offset)
    }

    /// Writes the comments that stand before `next`; gives the last of them.
    fn write_comments(&mut self, next: Place) -> Option<&'a Comment> {
        let mut last = None;
        while self.comment_before(next) {
            let (group, rest) = self.comments.split_first()?;
            self.comments = rest;
            for comment in group {
                self.space_before_comment(next, comment);
                let start = comment.span.start;
                self.write_item(
                    Place { line: start.line, offset: start.offset },
                    &comment.text,
                    Item::Comment(comment.text.clone()),
                );
                last = Some(comment);
            }
        }
        last
    }

    fn space_before_comment(&mut self, next: Place, comment: &Comment) {
        let line = comment.span.start.line;
        if self.items.is_empty() {
            return;
        }
        if line == self.last_line {
            // Comments at the ends of lines are aligned; one within a line is not.
            let same_line = line == next.line;
            self.write_inline(if same_line { Item::Text(" ".to_owned()) } else { Item::Column });
            return;
        }
        let indents = self.pending.iter().take_while(|space| matches!(space, Space::Indent | Space::Unindent)).count();
        if indents < self.pending.len() {
            self.pending.remove(indents);
            self.write_pending(indents);
        }
        let newlines = line.saturating_sub(self.last_line);
        self.write_newlines(&Item::Break, newlines.min(MOST_NEWLINES));
    }

    /// Of the spaces between the last comment and the next word, the source's line ends are kept.
    fn space_after_comment(&mut self, next: Place, comment: &Comment) {
        let block = comment.text.starts_with("/*");
        if block && comment.span.end.line == next.line {
            self.write_inline(Item::Text(" ".to_owned()));
        }
        let newlines = next.line.saturating_sub(self.last_line);
        let item = if self.pending.contains(&Space::Break) { Item::Break } else { Item::Newline };
        self.pending.retain(|space| matches!(space, Space::Indent | Space::Unindent));
        self.write_pending(self.pending.len());
        self.write_newlines(&item, newlines.min(MOST_NEWLINES));
    }
}
